// What changes something at the daemon.

// Null, or why it was refused.
export async function send(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await fetch(`/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    return answer.ok ? null : (await answer.json()).detail;
  } catch {
    return "the daemon does not answer";
  }
}
