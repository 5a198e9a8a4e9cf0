// A small client on axios: it asks for the targets of its standard input, one a line, and writes
// a line of JSON for each, the status and the body.
import { Agent } from "node:http";
import { createInterface } from "node:readline";
import axios from "axios";

const client = axios.create({
  headers: { "X-Aws-Parameters-Secrets-Token": process.env.TOKEN },
  httpAgent: new Agent({ keepAlive: true }),
  transformResponse: (text) => text,
  validateStatus: () => true,
});
for await (const target of createInterface({ input: process.stdin })) {
  const response = await client.get(process.env.BASE + target);
  console.log(JSON.stringify([response.status, response.data]));
}
