// Asks the server for its cameras while the browser still loads the rest of the page.

import { askEarly } from './server.js';

askEarly();
