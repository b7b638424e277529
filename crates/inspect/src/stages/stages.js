'use strict';
const button = document.getElementById('mark');
const mark = on => {
  button.setAttribute('aria-pressed', on);
  document.body.classList.toggle('marked', on);
};
button.addEventListener('click', () => mark(button.getAttribute('aria-pressed') !== 'true'));
mark(true);
