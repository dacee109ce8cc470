// Shows one operation of the document.
import { el } from "./page.js";

const access = {
  public: "anyone",
  bearer: "signed in",
  cookie: "refresh cookie",
  "bearer or cookie": "signed in, or refresh cookie",
};

/** accessOf says who may call: "anyone", "signed in", or a permission. */
export function accessOf(operation) {
  const declared = operation["x-access"];
  if (declared) return access[declared] ?? declared;
  return operation.security?.length ? "signed in" : "anyone";
}

/** article is the operation folded up; its body is made when first opened. */
export function article(entry, schemas, server) {
  const { id, method, path, operation } = entry;
  const box = el("details", { class: "operation", id },
    el("summary", {},
      el("span", { class: `method ${method}` }, method.toUpperCase()),
      el("code", {}, path),
      el("span", { class: "what" }, operation.summary ?? ""),
      el("span", { class: "tag" }, accessOf(operation))));
  box.addEventListener("toggle", () => {
    if (box.open && box.childElementCount === 1) box.append(body(entry, schemas, server));
  });
  return box;
}

function body({ method, path, operation, shared }, schemas, server) {
  const parameters = [...shared, ...(operation.parameters ?? [])].map((p) => schemas.resolve(p));
  const request = schemas.resolve(operation.requestBody);
  return el("div", {},
    operation.description ? el("p", {}, operation.description) : null,
    rights(operation),
    ...section("Parameters", parameters.length > 0 ? table(parameters, schemas) : null),
    ...section("Request body", ...content(request.content, schemas)),
    ...section("Example", el("pre", { tabindex: "0" }, el("code", {}, curl(method, path, parameters, request, operation, schemas, server)))),
    ...section("Answers", ...Object.entries(operation.responses ?? {}).map(([status, answer]) =>
      response(status, schemas.resolve(answer), schemas))));
}

function section(title, ...children) {
  const shown = children.filter((child) => child != null);
  return shown.length > 0 ? [el("h3", {}, title), ...shown] : [];
}

function rights(operation) {
  const limit = operation["x-rate-limit"];
  const who = accessOf(operation);
  return el("p", { class: "quiet" },
    "Who: ", who.includes(":") ? el("span", {}, "permission ", el("code", {}, who)) : who, ".",
    limit ? ` Limit: ${limit.max} requests in ${limit.window_seconds} s from one address.` : "");
}

function table(parameters, schemas) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Parameters" }, el("table", {},
    el("thead", {}, el("tr", {}, ...["Name", "In", "Type", "Meaning"].map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, ...parameters.map((p) => {
      const schema = p.schema ?? {};
      const about = [p.description ?? schemas.resolve(schema).description, schemas.rules(schema)].filter(Boolean).join(" · ");
      return el("tr", {},
        el("td", {}, el("code", {}, p.name), p.required ? el("span", { class: "schema" }, el("span", { class: "must" }, " required")) : null),
        el("td", {}, p.in), el("td", {}, schemas.typeName(schema)), el("td", {}, about));
    }))));
}

/** content shows each media type: its members and an example. */
function content(types, schemas) {
  return Object.entries(types ?? {}).flatMap(([type, { schema = {}, example }]) => {
    const json = type.includes("json");
    const value = example ?? (json ? schemas.example(schema) : undefined);
    return [
      el("p", {}, el("code", {}, type), " ", el("span", { class: "quiet" }, schemas.typeName(schema))),
      schemas.tree(schema),
      value === undefined ? null : el("details", { class: "model" }, el("summary", {}, "example"),
        el("pre", { tabindex: "0" }, el("code", {}, JSON.stringify(value, null, 2)))),
    ];
  }).filter((child) => child != null);
}

function response(status, answer, schemas) {
  const title = status === "default" ? "any error" : status;
  const headers = Object.keys(answer.headers ?? {});
  return el("details", { class: "answer", open: status.startsWith("2") },
    el("summary", {}, el("strong", {}, title), " ", answer.description ?? ""),
    headers.length > 0 ? el("p", { class: "quiet" }, `Headers: ${headers.join(", ")}`) : null,
    ...content(answer.content, schemas));
}

/** curl writes the call as a command for a POSIX shell. */
function curl(method, path, parameters, request, operation, schemas, server) {
  const filled = path.replaceAll(/\{([^}]+)\}/g, (_, name) => {
    const parameter = parameters.find((p) => p.in === "path" && p.name === name);
    return encodeURIComponent(String(schemas.example(parameter?.schema ?? { type: "string" })));
  });
  const query = parameters.filter((p) => p.in === "query" && p.required)
    .map((p) => `${encodeURIComponent(p.name)}=${encodeURIComponent(String(schemas.example(p.schema ?? {})))}`);
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${quote(server + filled + (query.length ? `?${query.join("&")}` : ""))}`];
  if (operation.security?.some((scheme) => "bearer" in scheme)) parts.push('-H "Authorization: Bearer $TOKEN"');
  const [type, media] = Object.entries(request.content ?? {})[0] ?? [];
  if (type?.includes("json")) {
    parts.push(`-H ${quote(`Content-Type: ${type}`)}`);
    parts.push(`-d ${quote(JSON.stringify(media.example ?? schemas.example(media.schema ?? {})))}`);
  } else if (type) {
    parts.push("-F file=@picture.png");
  }
  return parts.join(" \\\n  ");
}
