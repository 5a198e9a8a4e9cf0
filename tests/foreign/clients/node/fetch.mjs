// A small client on Node's fetch: it asks for the targets of its standard input, one a line, and writes
// a line of JSON for each, the status and the body.
import { createInterface } from "node:readline";

const headers = { "X-Aws-Parameters-Secrets-Token": process.env.TOKEN };
for await (const target of createInterface({ input: process.stdin })) {
  const response = await fetch(process.env.BASE + target, { headers });
  console.log(JSON.stringify([response.status, await response.text()]));
}
