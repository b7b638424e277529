// What the scripts of every page share: data by name, and the colours of page/colour.rs.
const gatemill = (() => {
  'use strict';
  const data = name => JSON.parse(document.getElementById('data-' + name).textContent);
  const tables = data('scales');
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const theme = () => (dark.matches ? 'dark' : 'light');
  // scale: 'diverging' (-1..1) or 'sequential' (0..1). As [r, g, b]; null for what is no number.
  const colour = (scale, value, on = theme()) => {
    if (value === null || Number.isNaN(value)) return null;
    const table = tables[scale][on];
    const part = scale === 'diverging'
      ? (Math.min(1, Math.max(-1, value)) + 1) / 2
      : Math.min(1, Math.max(0, value));
    const place = part * (table.length - 1);
    const low = Math.min(Math.floor(place), table.length - 2);
    return table[low].map((from, i) => Math.round(from + (table[low + 1][i] - from) * (place - low)));
  };
  const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  // Black or white, whichever reads better on [r, g, b].
  const ink = ([r, g, b]) => {
    const light = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
    return light * light > 1.05 * 0.05 ? '#000' : '#fff';
  };
  const css = ([r, g, b]) => `rgb(${r},${g},${b})`;
  // Calls f when the reader's system turns light or dark.
  const onTheme = f => dark.addEventListener('change', f);
  return { data, theme, onTheme, colour, ink, css };
})();
