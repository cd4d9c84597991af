// What changes something at the daemon.

// The answer, or in `refused` why there is none.
export async function send(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await fetch(`/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const said = await answer.json();
    return answer.ok ? said : { refused: said.detail };
  } catch {
    return { refused: "the daemon does not answer" };
  }
}
