// A server of the official TypeScript SDK: over stdio, or with `http` (sessions and streams, one process) at an address
// it prints as its first line. There `/moved` redirects to it, `/sessions` tells how many there are, and a call with the
// text `400` is answered with that status.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

function peer() {
  const server = new McpServer({ name: "typescript-peer", version: "1.0.0" });
  const shape = { text: z.string(), loud: z.boolean().optional() };
  const about = { description: "Says it again.", inputSchema: shape, annotations: { readOnlyHint: true } };
  server.registerTool("echo", about, ({ text, loud }) => {
    const said = loud === undefined ? text : String(loud);
    return { content: [{ type: "text", text: said }], structuredContent: { said } };
  });
  server.registerTool("grow", { description: "Learns something new." }, () => {
    server.registerTool("grown", { description: "What was learnt." }, () => ({
      content: [{ type: "text", text: "here" }],
    }));
    return { content: [{ type: "text", text: "grown" }] };
  });
  return server;
}

async function read(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return pieces.length ? JSON.parse(Buffer.concat(pieces).toString()) : undefined;
}

if (process.argv[2] === "http") {
  const sessions = new Map();
  const web = createServer(async (request, response) => {
    if (request.url === "/sessions") {
      response.writeHead(200, { connection: "close" }).end(String(sessions.size));
      return;
    }
    if (request.url === "/moved") {
      response.writeHead(307, { location: "/mcp" }).end();
      return;
    }
    if (request.headers.authorization !== "Bearer s3cret") {
      response.writeHead(401).end();
      return;
    }
    let transport = sessions.get(request.headers["mcp-session-id"]);
    if (!transport && request.headers["mcp-session-id"]) {
      response.writeHead(404).end();
      return;
    }
    const body = await read(request);
    if (body?.params?.arguments?.text === "400") {
      response.writeHead(400).end();
      return;
    }
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => sessions.set(id, transport),
        onsessionclosed: (id) => sessions.delete(id),
      });
      await peer().connect(transport);
    }
    await transport.handleRequest(request, response, body);
  });
  process.on("SIGUSR1", () => sessions.clear());
  web.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${web.address().port}/mcp`));
} else {
  await peer().connect(new StdioServerTransport());
}
