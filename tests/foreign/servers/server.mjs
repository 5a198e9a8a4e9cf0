// A small server on Node's http: it answers as the extension does, from the answers in the file of its argument.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const answers = JSON.parse(readFileSync(process.argv[2], "utf8"));
const server = createServer((request, response) => {
  const body = answers[request.url];
  response.writeHead(body === undefined ? 400 : 200, { "Content-Type": "text/plain; charset=utf-8" });
  response.end(body ?? "an unexpected error occurred while executing request");
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
