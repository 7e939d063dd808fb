// The cameras before and after one, in the order of the dashboard that one came from.

import { cameraPart, loadCameras, queryOf, takePairs } from './server.js';
import { camerasOf, parseView } from './view.js';

// @param query  the camera's part of the player's address
// @param from   the dashboard's address, the part after `#`
// -> { previous, next }: queries, or null when the camera is none of them
export async function neighboursOf(query, from) {
  const view = parseView(from);
  const named = view.all ? await loadCameras().catch(() => []) : [];
  const queries = camerasOf(view, named).filter(Boolean).map(queryOf);
  const at = queries.indexOf(takePairs(cameraPart(query), ['stream', 'height']).rest);
  if (at === -1 || queries.length < 2) return null;
  const { length } = queries;
  return { previous: queries[(at + length - 1) % length], next: queries[(at + 1) % length] };
}
