// What does not wait for the rest of the page: asks the server for its cameras, and sees to a page on
// a wall that does not come up.  No import that could fail with the others.

const UP_MS = 60 * 1000;
const KIOSK = /[#&?]kiosk=(?:1|yes|true|)(?:[&#]|$)/;

import('./server.js')
  .then(({ askEarly }) => askEarly())
  .catch(() => {}); // so do the page's own imports, which say it

// Some scripts did not come, or they were of two versions, as during an upgrade behind a proxy.
async function loadAgain() {
  if (document.documentElement.dataset.up || !KIOSK.test(location.href)) return;
  const reply = await fetch('./', { cache: 'no-store' }).catch(() => null);
  if (reply?.ok) location.reload();
}

setInterval(loadAgain, UP_MS);
