// The answer to a form, in the browser's history as the page at its address: the way back to it, and a reload, send nothing
// a second time. Not deferred: nothing of the page can be clicked before this has run.
"use strict";
history.replaceState(history.state, "", location.href);
