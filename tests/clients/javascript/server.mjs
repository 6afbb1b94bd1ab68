// The server that the tests started, and what is expected of it whatever the library.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const server = JSON.parse(readFileSync("server.json", "utf8"));
export const user = { username: server.username, password: server.password };
// A route that wants a bearer token.
export const resource = new URL("/endpoint", server.issuer);
export const bothScopes = "read write";

/** What the protected route answers to the bearer of a token. */
export async function status(token) {
  const answer = await fetch(resource, { headers: { authorization: `Bearer ${token}` } });
  return answer.status;
}

/** What is refused: `is` tells the library's own error, and whether it has the code. */
export async function refused(promise, is) {
  await assert.rejects(promise, (error) => {
    assert.ok(is(error), error);
    return true;
  });
}
