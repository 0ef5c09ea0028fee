// A component with @xmpp/component that answers every message. Arguments: name, secret, address, port, and the directory
// with node_modules.
"use strict";

const path = require("path");
const [name, secret, address, port, modules] = process.argv.slice(2);
const { component, xml } = require(path.join(modules, "node_modules", "@xmpp", "component"));

const echo = component({ service: `xmpp://${address}:${port}`, domain: name, password: secret });

echo.on("error", (error) => console.log("error:", error.message));

echo.on("stanza", async (stanza) => {
  const { from, to, type } = stanza.attrs;
  const body = stanza.getChildText("body");
  if (stanza.is("message") && body && type !== "error" && type !== "groupchat") {
    await echo.send(xml("message", { from: to, to: from, type }, xml("body", {}, `you said: ${body}`)));
  } else if (stanza.is("iq") && type === "get" && stanza.getChild("ping", "urn:xmpp:ping")) {
    await echo.send(xml("iq", { from: to, to: from, type: "result", id: stanza.attrs.id }));
  }
});

echo.on("online", () => console.log("online"));
echo.start().catch((error) => console.log("error:", error.message));
