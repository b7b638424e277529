// The text on a canvas: as much of it as is in view, each character on the colour of the chosen unit's value.
'use strict';
const win = gatemill.data('window');
const names = gatemill.data('names');
const $ = id => document.getElementById(id);
const chars = Array.from(win.text);
const STEPS = 254, LINE = 24, PAD = 10, TAB = 4;
const WORDS = {
  h: 'hidden state', c: 'cell state', i: 'input gate', f: 'forget gate', g: 'gate gate', o: 'output gate',
  r: 'reset gate', z: 'update gate', n: 'new state',
};
const OPENS = new Set(['i', 'f', 'o', 'r', 'z']);
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

// Units in the order of the model, for the arrows; those of the page alone.
const units = win.units.map((u, at) => ({ ...u, at })).sort((a, b) => a.layer - b.layer || a.unit - b.unit);
const marks = new Map(win.marks.map(m => [m.name, m]));
const nameOf = (layer, unit) => names.find(n => n.layer === layer && n.unit === unit);
// Colours run over bytes from..to: the whole scale, or stretched over most of what is shown.
const now = { unit: null, part: win.parts[0], mark: '', values: null, lo: 0, hi: 1, from: 0, to: STEPS, stretch: false, stretched: false, auto: true, hit: -1, at: -1 };
let found = [], rows = [], columns = 0, charWidth = 8;

const decoded = new WeakMap();
const valuesOf = unit => {
  if (!decoded.has(unit)) decoded.set(unit, bytes(unit.values));
  const part = win.parts.indexOf(now.part);
  return decoded.get(unit).subarray(part * chars.length, (part + 1) * chars.length);
};
const markOf = name => {
  const mark = marks.get(name);
  if (!mark) return null;
  if (!decoded.has(mark)) decoded.set(mark, bytes(mark.values));
  return decoded.get(mark);
};
const valueOf = byte => now.lo + (now.hi - now.lo) * byte / STEPS;
const value = i => valueOf(now.values[i]);
const opens = () => OPENS.has(now.part);
const below = i => opens() && !now.stretched ? value(i) < 0.1 : now.values[i] < (now.from + now.to) / 2;
const short = x => (Math.abs(x) < 0.0005 ? 0 : x).toPrecision(3).replace(/\.?0+$/, '').replace('-', '\u2212');

// Colours of all bytes of the chosen part, with the ink that reads on them.
let colours = [];
const mix = () => {
  colours = Array.from({ length: STEPS + 1 }, (_, b) => {
    const share = (b - now.from) / (now.to - now.from);
    const rgb = opens() ? gatemill.colour('sequential', share) : gatemill.colour('diverging', 2 * share - 1);
    return [gatemill.css(rgb), gatemill.ink(rgb)];
  });
};
// The bytes below and above which a twentieth of the characters lie.
const percentiles = () => {
  const counts = new Uint32Array(STEPS + 1);
  for (const b of now.values) counts[b]++;
  const rank = share => {
    let left = share * now.values.length, b = 0;
    while (b < STEPS && (left -= counts[b]) > 0) b++;
    return b;
  };
  return [rank(0.05), rank(0.95)];
};
const range = () => {
  const [low, high] = percentiles();
  // A state that stays on one side of zero has no contrast around it.
  const aside = !opens() && (low > STEPS / 2 || high < STEPS / 2);
  const stretch = now.stretch || (now.auto && aside);
  [now.from, now.to] = stretch && high > low ? [low, high] : [0, STEPS];
  now.stretched = stretch && high > low;
  $('stretch').setAttribute('aria-pressed', now.stretched);
};

// --- lines: words stay whole where they fit ---
const canvas = $('page'), pen = canvas.getContext('2d'), view = $('text');
const font = () => '14px ' + getComputedStyle(document.documentElement).getPropertyValue('--mono');
const wide = c => {
  const p = c.codePointAt(0);
  return p >= 0x1100 && (p <= 0x115f || (p >= 0x2e80 && p <= 0xa4cf) || (p >= 0xac00 && p <= 0xd7a3)
    || (p >= 0xf900 && p <= 0xfaff) || (p >= 0xfe30 && p <= 0xfe6f) || (p >= 0xff00 && p <= 0xff60)
    || (p >= 0x1f300 && p <= 0x1faff)) ? 2 : 1;
};
const span = (c, column) => c === '\t' ? TAB - column % TAB : wide(c);
const wrap = () => {
  pen.font = font();
  charWidth = Math.ceil(pen.measureText('m').width);
  columns = Math.max(16, Math.floor((view.clientWidth - 2 * PAD) / charWidth));
  rows = [];
  let from = 0, column = 0, blank = -1;
  for (let i = 0; i < chars.length; i++) {
    const size = span(chars[i], column);
    if (column + size > columns && chars[i] !== '\n') {
      const cut = blank > from ? blank + 1 : i;
      rows.push([from, cut]);
      [from, column, blank] = [cut, 0, -1];
      for (let k = cut; k < i; k++) column += span(chars[k], column);
    }
    column += span(chars[i], column);
    if (chars[i] === ' ') blank = i;
    if (chars[i] === '\n') {
      rows.push([from, i + 1]);
      [from, column, blank] = [i + 1, 0, -1];
    }
  }
  if (from < chars.length) rows.push([from, chars.length]);
  $('inner').style.height = rows.length * LINE + 2 * PAD + 'px';
};
const rowOf = i => {
  let low = 0, high = rows.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows[middle][0] <= i) low = middle; else high = middle - 1;
  }
  return low;
};

// --- drawing ---
let asked = false;
const draw = () => {
  if (!asked) {
    asked = true;
    requestAnimationFrame(() => { asked = false; paint(); });
  }
};
const paint = () => {
  const ratio = devicePixelRatio || 1, width = view.clientWidth, height = view.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = width + 'px';
    canvas.style.height = height + 'px';
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = font();
  pen.textBaseline = 'middle';
  // A property's own text may name two themes; the colour of an element is one.
  const inkOfMark = getComputedStyle(view).color, accent = getComputedStyle($('found')).outlineColor;
  const mark = markOf(now.mark), top = view.scrollTop;
  const first = Math.max(0, Math.floor((top - PAD) / LINE)), last = Math.min(rows.length, first + Math.ceil(height / LINE) + 1);
  for (let row = first; row < last; row++) {
    const y = PAD + row * LINE - top;
    let column = 0;
    for (let i = rows[row][0]; i < rows[row][1]; i++) {
      const c = chars[i], size = span(c, column), x = PAD + column * charWidth, w = size * charWidth;
      const [back, ink] = colours[now.values[i]];
      pen.fillStyle = back;
      pen.fillRect(x, y + 4, w, LINE - 5);
      pen.fillStyle = ink;
      if (c === '\n' || c === '\t') {
        pen.globalAlpha = 0.45;
        pen.fillText(c === '\n' ? '\u21b5' : '\u21e5', x, y + LINE / 2 + 2);
        pen.globalAlpha = 1;
      } else if (c !== ' ') {
        pen.fillText(c, x, y + LINE / 2 + 2);
      }
      if (below(i)) pen.fillRect(x, y + LINE - 4, w, 1.5);
      if (mark && mark[i]) {
        pen.fillStyle = inkOfMark;
        pen.fillRect(x, y + 1, w, 2);
      }
      if (i === now.at) {
        pen.strokeStyle = accent;
        pen.lineWidth = 2;
        pen.strokeRect(x + 1, y + 4, w - 2, LINE - 6);
      }
      column += size;
    }
  }
  // What was found, framed.
  const needle = Array.from($('find').value).length;
  pen.strokeStyle = accent;
  pen.lineWidth = 2;
  found.forEach((from, k) => {
    if (from + needle <= rows[first]?.[0] || from >= (rows[last - 1]?.[1] ?? 0)) return;
    for (let i = from; i < from + needle; i++) {
      const row = rowOf(i);
      let column = 0;
      for (let j = rows[row][0]; j < i; j++) column += span(chars[j], column);
      const x = PAD + column * charWidth, y = PAD + row * LINE - top;
      pen.beginPath();
      pen.moveTo(x, y + LINE - 1);
      pen.lineTo(x + span(chars[i], column) * charWidth, y + LINE - 1);
      if (k === now.hit) {
        pen.moveTo(x, y + 1);
        pen.lineTo(x + span(chars[i], column) * charWidth, y + 1);
      }
      pen.stroke();
    }
  });
};
const legend = () => {
  const c = $('legend'), p = c.getContext('2d');
  for (let x = 0; x < c.width; x++) {
    p.fillStyle = colours[Math.round(now.from + x / (c.width - 1) * (now.to - now.from))][0];
    p.fillRect(x, 0, 1, c.height);
  }
  $('least').textContent = (now.stretched ? '\u2264 ' : '') + short(valueOf(now.from));
  $('most').textContent = (now.stretched ? '\u2265 ' : '') + short(valueOf(now.to));
  const middle = short(valueOf((now.from + now.to) / 2));
  $('sign').textContent = opens() && !now.stretched ? 'underlined: closed, below 0.1' : `underlined: below ${middle}`;
};

// --- choosing ---
const choose = (unit, part = now.part) => {
  now.unit = unit;
  now.part = part;
  now.values = valuesOf(unit);
  [now.lo, now.hi] = unit.scales[win.parts.indexOf(part)];
  range();
  mix();
  const name = nameOf(unit.layer, unit.unit);
  $('title').textContent = `layer ${unit.layer}, unit ${unit.unit}, ${part}: ${WORDS[part]}`
    + (name ? ` \u2014 \u201c${name.label}\u201d by ${name.part}, ${name.score.toFixed(3)}` : '');
  $('layer').value = unit.layer;
  fill(unit.layer);
  $('unit').value = unit.unit;
  for (const b of $('parts').children) b.setAttribute('aria-pressed', b.dataset.part === part);
  for (const b of document.querySelectorAll('button.show')) {
    b.setAttribute('aria-pressed', b.dataset.unit === `${unit.layer}:${unit.unit}` && b.dataset.part === part);
  }
  history.replaceState(null, '', `#${unit.layer}:${unit.unit}:${part}`);
  legend();
  read();
  draw();
};
const marked = name => {
  now.mark = marks.has(name) ? name : '';
  $('mark').value = now.mark;
  read();
  draw();
};
let filled = null;
const fill = layer => {
  if (filled === layer) return;
  filled = layer;
  $('unit').replaceChildren(...units.filter(u => u.layer === layer).map(u => {
    const name = nameOf(u.layer, u.unit);
    return new Option(name ? `${u.unit}  ${name.label}` : u.unit, u.unit);
  }));
};
const step = by => choose(units[(units.indexOf(now.unit) + by + units.length) % units.length]);
const layers = [...new Set(units.map(u => u.layer))];
const toLayer = layer => choose(units.find(u => u.layer === layer && u.unit === now.unit.unit) ?? units.find(u => u.layer === layer));
const stepLayer = by => toLayer(layers[(layers.indexOf(now.unit.layer) + by + layers.length) % layers.length]);
const stepPart = by => choose(now.unit, win.parts[(win.parts.indexOf(now.part) + by + win.parts.length) % win.parts.length]);
const stretch = () => {
  now.stretch = !now.stretched;
  now.auto = false;
  range();
  mix();
  legend();
  draw();
};
const stepMark = () => {
  const all = ['', ...marks.keys()];
  marked(all[(all.indexOf(now.mark) + 1) % all.length]);
};

// --- reading a character ---
const read = () => {
  if (now.at < 0) return;
  const c = { '\n': '\u21b5', '\t': '\u21e5', ' ': '\u2423' }[chars[now.at]] ?? chars[now.at];
  const stands = win.marks.filter(m => markOf(m.name)[now.at]).map(m => {
    const v = markOf(m.name)[now.at];
    return v > 1 || /position|depth|indentation/.test(m.name) ? `${m.name} ${v}` : m.name;
  });
  $('readout').textContent = `${c}  ${now.part} ${now.unit.layer}:${now.unit.unit} = ${short(value(now.at))}`
    + `   character ${(win.from + now.at).toLocaleString('en')}   ${stands.join(', ')}`;
};
const under = event => {
  const box = view.getBoundingClientRect();
  const row = Math.floor((event.clientY - box.top - PAD + view.scrollTop) / LINE);
  if (!rows[row]) return -1;
  const want = (event.clientX - box.left - PAD) / charWidth;
  let column = 0;
  for (let i = rows[row][0]; i < rows[row][1]; i++) {
    column += span(chars[i], column);
    if (want < column) return want < 0 ? -1 : i;
  }
  return -1;
};
const point = event => {
  const at = under(event);
  if (at >= 0 && at !== now.at) {
    now.at = at;
    read();
    draw();
  }
};
view.addEventListener('pointermove', e => { if (e.pointerType === 'mouse') point(e); });
let swipe = null;
view.addEventListener('pointerdown', e => { point(e); swipe = e.pointerType === 'touch' ? [e.clientX, e.clientY] : null; });
view.addEventListener('pointerup', e => {
  if (!swipe) return;
  const [dx, dy] = [e.clientX - swipe[0], e.clientY - swipe[1]];
  swipe = null;
  if (Math.abs(dx) > 60 && Math.abs(dx) > 2 * Math.abs(dy)) step(dx < 0 ? 1 : -1);
});
view.addEventListener('pointercancel', () => { swipe = null; });
view.addEventListener('scroll', draw, { passive: true });

// --- keys ---
const KEYS = {
  ArrowLeft: e => e.shiftKey ? stepLayer(-1) : step(-1),
  ArrowRight: e => e.shiftKey ? stepLayer(1) : step(1),
  ArrowUp: () => stepPart(-1),
  ArrowDown: () => stepPart(1),
  m: stepMark,
  s: stretch,
};
view.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || !KEYS[e.key]) return;
  e.preventDefault();
  KEYS[e.key](e);
});
document.addEventListener('keydown', e => {
  if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || /INPUT|SELECT|TEXTAREA/.test(e.target.tagName)) return;
  e.preventDefault();
  $('find').focus();
  $('find').select();
});

// --- finding ---
const goTo = i => { view.scrollTop = PAD + rowOf(i) * LINE - view.clientHeight / 3; };
const find = () => {
  const needle = Array.from($('find').value);
  found = [];
  now.hit = -1;
  for (let i = 0; needle.length && i + needle.length <= chars.length; i++) {
    if (needle.every((c, k) => c === chars[i + k])) found.push(i);
  }
  $('found').textContent = needle.length ? `${found.length} found` : '';
  if (found.length) next(1); else draw();
};
const next = by => {
  if (!found.length) return;
  now.hit = (now.hit + by + found.length) % found.length;
  now.at = found[now.hit];
  $('found').textContent = `${now.hit + 1} of ${found.length}`;
  goTo(now.at);
  read();
  draw();
};
$('find').addEventListener('input', find);
$('find').addEventListener('keydown', e => {
  if (e.key === 'Enter') { e.preventDefault(); next(e.shiftKey ? -1 : 1); }
  if (e.key === 'Escape') view.focus();
});

// --- controls ---
$('layer').replaceChildren(...layers.map(l => new Option(l, l)));
$('parts').replaceChildren(...win.parts.map(part => {
  const b = Object.assign(document.createElement('button'), { type: 'button', textContent: part, title: WORDS[part] });
  b.dataset.part = part;
  b.addEventListener('click', () => choose(now.unit, part));
  return b;
}));
$('mark').append(...[...marks.keys()].map(name => new Option(name, name)));
$('layer').addEventListener('change', e => toLayer(Number(e.target.value)));
$('unit').addEventListener('change', e => choose(units.find(u => u.layer === now.unit.layer && u.unit === Number(e.target.value))));
$('mark').addEventListener('change', e => marked(e.target.value));
$('before').addEventListener('click', () => step(-1));
$('after').addEventListener('click', () => step(1));
$('stretch').addEventListener('click', stretch);
const byText = text => units.find(u => `${u.layer}:${u.unit}` === text);
for (const b of document.querySelectorAll('button.show')) {
  if (!byText(b.dataset.unit)) {
    b.disabled = true;
    b.title = `not on this page: ask for it with --unit ${b.dataset.unit}`;
  }
  b.addEventListener('click', () => {
    choose(byText(b.dataset.unit), b.dataset.part);
    marked(b.dataset.mark);
    view.scrollIntoView({ block: 'nearest' });
  });
}

// --- begin: the unit of the address, else the best with a name, else the first kept ---
const begin = () => {
  const [layer, unit, part] = location.hash.slice(1).split(':');
  const asked = byText(`${layer}:${unit}`);
  if (asked) return choose(asked, win.parts.includes(part) ? part : win.parts[0]);
  const best = names.map(n => [n, byText(`${n.layer}:${n.unit}`)]).find(([n, u]) => u && n.label.includes('quote'))
    ?? names.map(n => [n, byText(`${n.layer}:${n.unit}`)]).find(([, u]) => u);
  choose(best ? best[1] : units.find(u => u.at === 0), best ? best[0].part : win.parts[0]);
  if (best) marked(best[0].label);
};
wrap();
begin();
new ResizeObserver(() => {
  const top = rows[Math.floor(view.scrollTop / LINE)]?.[0] ?? 0;
  wrap();
  if (view.scrollTop > 0) view.scrollTop = rowOf(top) * LINE;
  draw();
}).observe(view);
gatemill.onTheme(() => { mix(); legend(); draw(); });
