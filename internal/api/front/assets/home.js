// Shows whether the service is ready.
const status = document.getElementById("status");

function show(kind, text) {
  status.className = `status ${kind}`;
  status.textContent = text;
}

try {
  const answer = await fetch("/health/ready", { cache: "no-store" });
  const { status: state } = await answer.json();
  if (answer.ok && state === "ready") show("good", "The service is ready.");
  else if (answer.ok) show("good", "The service works, with a part of it degraded.");
  else show("bad", "The service is not ready.");
} catch {
  show("bad", "The service does not answer.");
}
