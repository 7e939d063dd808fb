// The page's words, in the language of the browser or the one chosen.

import en from './text.en.js';
import zh from './text.zh.js';

const LANGUAGES = { en, zh };
const KEY = 'cam-httpflv-language';

// Storage may be forbidden, in frames of other sites for instance.
function stored() {
  try {
    return window.localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function choose() {
  const asked = stored() ?? navigator.language.split('-')[0].toLowerCase();
  return LANGUAGES[asked] ? asked : 'en';
}

export const language = choose();
const words = LANGUAGES[language];

// The words of a key, with values in the place of {names}.
export function text(key, values = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function has(key) {
  return Object.hasOwn(words, key);
}

// Fill in what the HTML marks: data-text="key"; data-label, data-title: attributes.
function fillIn(root) {
  for (const element of root.querySelectorAll('[data-text]'))
    element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll('[data-label]'))
    element.setAttribute('aria-label', text(element.dataset.label));
  for (const element of root.querySelectorAll('[data-title]'))
    element.title = `${text(element.dataset.title)} (${element.dataset.key})`;
}

function other() {
  return Object.keys(LANGUAGES).find((name) => name !== language);
}

// The page in the browser's language, and a button for the other one.
export function translatePage(button) {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : language;
  fillIn(document);
  for (const template of document.querySelectorAll('template')) fillIn(template.content);
  button.lang = other() === 'zh' ? 'zh-CN' : other();
  button.addEventListener('click', () => {
    try {
      window.localStorage.setItem(KEY, other());
    } catch {
      return;
    }
    location.reload();
  });
}
