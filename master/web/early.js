// A page on a wall that does not come up is loaded again.  It imports nothing, so that it is there when
// the other scripts are not.

const UP_MS = 60 * 1000;
const KIOSK = /[#&?]kiosk=(?:1|yes|true|)(?:[&#]|$)/;

// Some scripts did not come, or they were of two versions, as during an upgrade behind a proxy.
async function loadAgain() {
  if (document.documentElement.dataset.up || !KIOSK.test(location.href)) return;
  const reply = await fetch('./', { cache: 'no-store' }).catch(() => null);
  if (reply?.ok) location.reload();
}

setInterval(loadAgain, UP_MS);
