/** Plots as SVG, by hand: one panel below the other, without scripts or fonts of their own. */
import type { Plot } from './result.ts';

const WIDTH = 760;
const LABEL_WIDTH = 190;
const VALUE_WIDTH = 90;
const BAR_HEIGHT = 18;
const LINES_HEIGHT = 260;
const MARGIN = 24;
const COLOURS = ['#2b6cb0', '#c05621', '#2f855a', '#805ad5', '#b83280', '#4a5568'];

interface Panel {
  readonly height: number;
  readonly body: string;
}

/** One picture of all plots. */
export function drawPlots(title: string, plots: readonly Plot[]): string {
  let y = 44;
  let body = text(MARGIN, 26, title, 'font-weight="bold" font-size="15"');
  for (const plot of plots) {
    const panel = plot.kind === 'bars' ? drawBars(plot) : drawLines(plot);
    body += `<g transform="translate(0 ${y})">${panel.body}</g>\n`;
    y += panel.height + MARGIN;
  }
  const size = `width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}"`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="12">\n` +
    `<rect width="100%" height="100%" fill="white"/>\n${body}</svg>\n`
  );
}

function drawBars({ title, unit, values }: Extract<Plot, { kind: 'bars' }>): Panel {
  const most = Math.max(...values.map(({ value }) => value).filter(Number.isFinite), 0) || 1;
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH - MARGIN;
  let body = text(MARGIN, 14, `${title}, ${unit}`, 'font-weight="bold"');
  values.forEach(({ label, value }, index) => {
    const y = 24 + index * (BAR_HEIGHT + 4);
    const width = Number.isFinite(value) ? (value / most) * room : 0;
    const colour = COLOURS[label.startsWith('criu-timeline') ? 0 : 5] ?? '';
    body += text(LABEL_WIDTH - 6, y + 13, label, 'text-anchor="end"');
    body += `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" `;
    body += `height="${BAR_HEIGHT}" fill="${colour}"/>\n`;
    body += text(LABEL_WIDTH + width + 6, y + 13, short(value));
  });
  return { height: 24 + values.length * (BAR_HEIGHT + 4), body };
}

function drawLines(plot: Extract<Plot, { kind: 'lines' }>): Panel {
  const points = plot.lines.flatMap((line) => line.points);
  const [left, right] = rangeOf(points.map(([x]) => x));
  const top = Math.max(...points.map(([, y]) => y), 0) || 1;
  const [plotLeft, plotTop, plotBottom] = [70, 30, LINES_HEIGHT - 40];
  const plotRight = WIDTH - LABEL_WIDTH;
  const toX = (x: number): number =>
    plotLeft + ((x - left) / (right - left || 1)) * (plotRight - plotLeft);
  const toY = (y: number): number => plotBottom - (y / top) * (plotBottom - plotTop);
  let body = text(MARGIN, 14, `${plot.title}, ${plot.unit}`, 'font-weight="bold"');
  const frame = `M${plotLeft} ${plotTop}V${plotBottom}H${plotRight}`;
  body += `<path d="${frame}" fill="none" stroke="#888"/>\n`;
  for (const part of [0, 0.5, 1]) {
    const y = toY(top * part) + 4;
    body += text(plotLeft - 6, y, short(top * part), 'text-anchor="end"');
    const x = left + (right - left) * part;
    body += text(toX(x), plotBottom + 16, short(x), 'text-anchor="middle"');
  }
  body += text((plotLeft + plotRight) / 2, plotBottom + 32, plot.xTitle, 'text-anchor="middle"');
  plot.lines.forEach((line, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? '';
    const path = line.points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(' ');
    body += `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>\n`;
    body += text(plotRight + 12, plotTop + 14 + index * 18, line.label, `fill="${colour}"`);
  });
  return { height: LINES_HEIGHT, body };
}

function rangeOf(values: readonly number[]): [number, number] {
  return values.length === 0 ? [0, 1] : [Math.min(...values), Math.max(...values)];
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${safe}</text>\n`;
}

function short(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value.toPrecision(3);
}
