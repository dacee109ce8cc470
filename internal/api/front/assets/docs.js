// The API reference: reads /openapi.json and shows it, grouped and searchable.
import { accessOf, article } from "./operation.js";
import { el, say } from "./page.js";
import { Schemas } from "./schema.js";

const methods = ["get", "post", "put", "patch", "delete", "head", "options"];
const reference = document.getElementById("reference");
const contents = document.getElementById("contents");
const filter = document.getElementById("filter");
const found = document.getElementById("found");

/** entries lists the operations of the document, in its order. */
function entries(spec) {
  return Object.entries(spec.paths ?? {}).flatMap(([path, item]) => methods.filter((method) => item[method]).map((method) => {
    const operation = item[method];
    return {
      id: `op-${method}${path.replaceAll(/[^A-Za-z0-9]+/g, "-")}`.replace(/-$/, ""),
      method, path, operation, shared: item.parameters ?? [],
      tag: operation.tags?.[0] ?? path.split("/")[1] ?? "other",
      words: [method, path, operation.summary, operation.description, accessOf(operation), ...(operation.tags ?? [])].join(" ").toLowerCase(),
    };
  }));
}

/** show fills the page and returns what the filter hides and shows. */
function show(spec) {
  const schemas = new Schemas(spec);
  const server = spec.servers?.[0]?.url ?? location.origin;
  const groups = Map.groupBy(entries(spec), (entry) => entry.tag);
  const rows = [];
  reference.replaceChildren(el("p", { class: "quiet" },
    `${spec.info.title}, version ${spec.info.version || "unknown"}. Base address `, el("code", {}, server),
    ". Press an operation to open it; its address can be linked."));
  for (const [tag, list] of groups) {
    const box = el("section", {}, el("h2", {}, tag));
    const menu = el("ul", {});
    const group = el("div", {}, el("h2", {}, tag), menu);
    for (const entry of list) {
      const shown = article(entry, schemas, server);
      const link = el("li", {}, el("a", { href: `#${entry.id}`, title: entry.operation.summary },
        el("span", { class: `method ${entry.method}` }, entry.method.toUpperCase()), el("span", {}, entry.path)));
      box.append(shown);
      menu.append(link);
      rows.push({ words: entry.words, parts: [shown, link], group: [box, group] });
    }
    reference.append(box);
    contents.append(group);
  }
  return rows;
}

/** search hides what lacks one of the words, and groups left empty. */
function search(rows) {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const alive = new Set();
  let count = 0;
  for (const row of rows) {
    const hit = words.every((word) => row.words.includes(word));
    for (const part of row.parts) part.hidden = !hit;
    if (hit) {
      count++;
      row.group.forEach((part) => alive.add(part));
    }
  }
  for (const row of rows) for (const part of row.group) part.hidden = !alive.has(part);
  found.textContent = words.length > 0 ? `${count} of ${rows.length} operations` : `${rows.length} operations`;
}

/** follow opens the operation that the fragment names. */
function follow() {
  const target = document.getElementById(location.hash.slice(1));
  if (!target?.classList.contains("operation")) return;
  const reveal = () => {
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  };
  if (target.open) {
    reveal();
    return;
  }
  target.addEventListener("toggle", reveal, { once: true }); // after its body is made
  target.open = true;
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const rows = show(await answer.json());
  search(rows);
  filter.addEventListener("input", () => search(rows));
  addEventListener("hashchange", follow);
  follow();
} catch (error) {
  reference.replaceChildren();
  say("bad", `The OpenAPI document cannot be shown: ${error.message}.`);
}
