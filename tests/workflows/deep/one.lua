-- Requires another one in turn.
return { answer = require("deep.two") }
