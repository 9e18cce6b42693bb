// A client of the official TypeScript SDK: `client.mjs URL TOKEN` reads calls (JSON lists of name and arguments, one a
// line) and prints what the server offers and answers, one JSON object a line.

import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, token] = process.argv.slice(2);
const client = new Client({ name: "typescript-peer", version: "1.0.0" });
const requestInit = { headers: { Authorization: `Bearer ${token}` } };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
const { tools } = await client.listTools();
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name) }));
for await (const line of createInterface({ input: process.stdin })) {
  const [name, args] = JSON.parse(line);
  const result = await client.callTool({ name, arguments: args });
  console.log(JSON.stringify({ error: Boolean(result.isError), text: result.content[0].text }));
}
await client.close();
