/** Labels and engines: what archives of each engine say, and what hostile ones may say. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { engineOf } from '../../src/archives/engine.ts';
import { LABEL_BYTES_MAX, labelsOf } from '../../src/archives/labels.ts';

/** Without the common prefix. */
function shortLabels(config: unknown, spec: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labelsOf(config, spec)).map(([name, value]) => {
      expect(name).toMatch(/^org\.criu\.checkpoint\./);
      return [name.slice('org.criu.checkpoint.'.length), value];
    }),
  );
}

describe('labels', () => {
  it('come from a configuration of podman', () => {
    const config = {
      ...{ id: '95e0', name: 'shop', RawImageName: 'shop:1', rootfsImageID: 'b6bc' },
      ...{ rootfsImageName: 'localhost/shop:1', runtime: 'runc', pod: 'p1' },
    };
    expect(shortLabels(config, { annotations: { 'io.container.manager': 'libpod' } })).toEqual({
      ...{ 'container.id': '95e0', 'container.name': 'shop', 'pod.id': 'p1' },
      ...{ rawImageName: 'shop:1', rootfsImageID: 'b6bc', rootfsImageName: 'localhost/shop:1' },
      'runtime.name': 'runc',
    });
  });

  it('come from annotations of CRI-O, before its own names', () => {
    const annotations = {
      'io.kubernetes.pod.name': 'web-0',
      'io.kubernetes.pod.namespace': 'shop',
      'io.kubernetes.pod.uid': 'u-1',
      'io.kubernetes.container.name': 'server',
    };
    const config = { name: 'k8s_server_web-0_shop_u-1_0', rootfsImageRef: 'sha256:1' };
    expect(shortLabels(config, { annotations })).toEqual({
      ...{ 'pod.name': 'web-0', 'pod.namespace': 'shop', 'pod.uid': 'u-1' },
      ...{ 'container.name': 'server', rootfsImageID: 'sha256:1' },
    });
  });

  it('come from annotations of containerd', () => {
    const annotations = {
      'io.kubernetes.cri.container-name': 'server',
      'io.kubernetes.cri.sandbox-name': 'web-0',
      'io.kubernetes.cri.sandbox-namespace': 'shop',
      'io.kubernetes.cri.sandbox-uid': 'u-1',
      'io.kubernetes.cri.image-name': 'example.org/server:1',
    };
    expect(shortLabels(undefined, { annotations })).toEqual({
      ...{ 'pod.name': 'web-0', 'pod.namespace': 'shop', 'pod.uid': 'u-1' },
      ...{ 'container.name': 'server', rootfsImageName: 'example.org/server:1' },
    });
  });

  it('that are annotations already are kept', () => {
    const annotations = { 'org.criu.checkpoint.criu.version': '4.2', 'org.criu.checkpoint.x': 'y' };
    expect(shortLabels({}, { annotations })).toEqual({ 'criu.version': '4.2' });
  });

  it('are cut at 4096 bytes, between characters', () => {
    const cut = shortLabels({ name: 'x' + 'ü'.repeat(9000) }, {})['container.name']!;
    expect(cut).toBe('x' + 'ü'.repeat(2047));
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(LABEL_BYTES_MAX);
    expect(shortLabels({ name: 'x'.repeat(5000) }, {})['container.name']).toBe('x'.repeat(4096));
    expect(shortLabels({ name: '\ud800' }, {})['container.name']).toBe('\ufffd');
  });

  it('are text or not there, whatever the files hold', () => {
    expect(labelsOf(JSON.parse('{"__proto__": {"name": "x"}, "id": 7}'), null)).toEqual({});
    expect(labelsOf([], { annotations: ['a'] })).toEqual({});
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (config, spec) => {
        const labels = labelsOf({ name: config, id: spec }, { annotations: config });
        for (const value of Object.values(labels)) {
          expect(typeof value).toBe('string');
          expect(Buffer.byteLength(value)).toBeLessThanOrEqual(LABEL_BYTES_MAX);
        }
        expect(typeof labelsOf(config, spec)).toBe('object');
      }),
    );
  });
});

describe('the engine', () => {
  it.each([
    [['network.status', 'ctr.log', 'artifacts'], false, 'podman'],
    [['bind.mounts', 'io.kubernetes.cri-o.LogPath'], false, 'cri-o'],
    [['bind.mounts', 'ctr.log'], false, 'cri-o'],
    [['status', 'container.log'], true, 'containerd'],
    [['config.dump'], true, 'containerd'],
    [['config.dump', 'checkpoint'], false, undefined],
  ])('of an archive with %j (layer: %j) is %s', (members, hasLayer, expected) => {
    expect(engineOf(new Set(members), hasLayer)).toBe(expected);
  });
});
