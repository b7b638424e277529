'use strict';
const hello = gatemill.data('hello');
const $ = id => document.getElementById(id);
const shown = c => ({ ' ': '\u2423', '\n': '\u21b5', '\t': '\u21e5' })[c] ?? c;

// Training: the stage that the slider stands at.
const slider = $('stage'), cells = [...$('stage-table').tBodies[0].rows];
const stage = () => {
  const { updates, nats, predicted, p } = hello.training[+slider.value];
  $('stage-words').textContent = `${updates} update${updates === 1 ? '' : 's'}: ${nats.toFixed(4)} nats`;
  slider.setAttribute('aria-valuetext', $('stage-words').textContent);
  cells.forEach((row, t) => {
    p[t].forEach((value, k) => {
      const cell = row.cells[k + 1], colour = gatemill.colour('sequential', value);
      cell.textContent = value.toFixed(3);
      cell.style.background = gatemill.css(colour);
      cell.style.color = gatemill.ink(colour);
    });
    row.cells[p[t].length + 1].textContent = `'${shown(predicted[t])}'`;
  });
};
slider.addEventListener('input', stage);
gatemill.onTheme(stage);
stage();

// Inference: letters said so far.
const rows = [...$('fed').tBodies[0].rows];
let said = hello.inference.length;
const write = () => {
  const letters = [hello.inference[0].reads, ...hello.inference.slice(0, said).map(fed => fed.says)];
  $('written').textContent = letters.map(shown).join('');
  rows.forEach((row, i) => { row.hidden = i >= said; });
  $('next').disabled = $('all').disabled = said >= hello.inference.length;
};
$('next').addEventListener('click', () => { said += 1; write(); });
$('all').addEventListener('click', () => { said = hello.inference.length; write(); });
$('again').addEventListener('click', () => { said = 0; write(); });
write();
