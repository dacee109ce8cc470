// Shows JSON Schemas (2020-12, as OpenAPI 3.1 uses them) as trees, and makes
// examples of them.
import { el } from "./page.js";

const deepest = 8; // recursive schemas end somewhere

/** Schemas resolves references within one OpenAPI document. */
export class Schemas {
  #document;

  constructor(document) {
    this.#document = document;
  }

  /** resolve follows a $ref ("#/components/…") to what it names. */
  resolve(node) {
    for (let hops = 0; node?.$ref && hops < deepest; hops++) {
      const target = node.$ref.slice(2).split("/")
        .map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"))
        .reduce((at, step) => at?.[step], this.#document);
      const { $ref, ...beside } = node;
      node = { ...target, ...beside };
    }
    return node ?? {};
  }

  /** plain is a schema without "or null": [schema, nullable]. */
  #plain(schema) {
    schema = this.resolve(schema);
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices) {
      const real = choices.filter((choice) => choice.type !== "null");
      if (real.length === 1) {
        const { anyOf, oneOf, ...beside } = schema;
        return [{ ...this.resolve(real[0]), ...beside }, real.length < choices.length];
      }
    }
    if (Array.isArray(schema.type)) {
      const types = schema.type.filter((type) => type !== "null");
      return [{ ...schema, type: types.length === 1 ? types[0] : types }, types.length < schema.type.length];
    }
    return [schema, false];
  }

  /** typeName says in a few words what a schema takes. */
  typeName(schema) {
    const [plain, nullable] = this.#plain(schema);
    let name = plain.format ?? (Array.isArray(plain.type) ? plain.type.join(" or ") : plain.type) ?? "any";
    if (plain.type === "array") name = `array of ${this.typeName(plain.items ?? {})}`;
    if (plain.type === "object" && typeof plain.additionalProperties === "object") {
      name = `map of ${this.typeName(plain.additionalProperties)}`;
    }
    const choices = plain.anyOf ?? plain.oneOf;
    if (choices) name = choices.map((choice) => this.typeName(choice)).join(" or ");
    return nullable ? `${name} or null` : name;
  }

  /** rules lists the limits of a schema in words. */
  rules(schema) {
    const [s] = this.#plain(schema);
    const range = (low, high, unit) => {
      if (low != null && high != null) return [low === high ? `exactly ${low}${unit}` : `${low} to ${high}${unit}`];
      if (low != null) return [`at least ${low}${unit}`];
      return high != null ? [`at most ${high}${unit}`] : [];
    };
    const list = [
      ...range(s.minimum, s.maximum, ""), ...range(s.minLength, s.maxLength, " characters"), ...range(s.minItems, s.maxItems, " items"),
    ];
    if (s.const !== undefined) list.push(`always ${JSON.stringify(s.const)}`);
    const values = s.enum ?? this.#plain(s.items ?? {})[0].enum;
    if (values) list.push(`one of ${values.filter((v) => v !== null).map((v) => JSON.stringify(v)).join(", ")}`);
    if (s.pattern) list.push(`matches ${s.pattern}`);
    if (s.default !== undefined) list.push(`default ${JSON.stringify(s.default)}`);
    return list.join("; ");
  }

  /** tree shows the members of a schema, or null where it has none. */
  tree(schema, depth = 0) {
    const [plain] = this.#plain(schema);
    if (depth > deepest) return null;
    const choices = plain.anyOf ?? plain.oneOf;
    if (choices) {
      return el("ul", { class: "schema" }, ...choices.map((choice, i) => this.#member(`option ${i + 1}`, choice, false, depth)));
    }
    if (plain.type === "array") return this.tree(plain.items ?? {}, depth + 1);
    if (typeof plain.additionalProperties === "object" && !plain.properties) return this.tree(plain.additionalProperties, depth + 1);
    const members = Object.entries(plain.properties ?? {});
    if (members.length === 0) return null;
    const required = new Set(plain.required ?? []);
    return el("ul", { class: "schema" }, ...members.map(([name, member]) => this.#member(name, member, required.has(name), depth)));
  }

  #member(name, schema, required, depth) {
    const rules = this.rules(schema);
    const about = this.resolve(schema).description;
    const inner = this.tree(schema, depth + 1);
    return el("li", {},
      el("code", {}, name), " ",
      el("span", { class: "type" }, this.typeName(schema)),
      required ? el("span", { class: "must" }, " required") : null,
      rules ? el("span", { class: "rule" }, ` · ${rules}`) : null,
      about ? el("span", { class: "about" }, about) : null,
      inner ? el("details", { class: "model", open: depth < 1 }, el("summary", {}, "members"), inner) : null);
  }

  /** example makes a value that the schema takes. */
  example(schema, depth = 0) {
    const [s] = this.#plain(schema);
    if (s.example !== undefined) return s.example;
    for (const known of [s.examples?.[0], s.const, s.default, s.enum?.[0]]) {
      if (known !== undefined) return known;
    }
    const choice = (s.anyOf ?? s.oneOf)?.[0];
    if (choice) return this.example(choice, depth + 1);
    switch (s.type) {
      case "object":
        if (depth > deepest) return {};
        return Object.fromEntries(Object.entries(s.properties ?? {}).map(([name, member]) =>
          [name, this.#named(name, member) ?? this.example(member, depth + 1)]));
      case "array":
        return depth > deepest ? [] : [this.example(s.items ?? {}, depth + 1)];
      case "integer":
      case "number":
        return s.minimum ?? 1;
      case "boolean":
        return true;
      case "string":
        return exampleText(s);
      default:
        return null;
    }
  }

  /** named gives well-known fields a value that a reader recognises. */
  #named(name, schema) {
    const [s] = this.#plain(schema);
    if (s.type !== "string" || s.enum || s.format === "uuid" || s.format === "date-time") return undefined;
    return {
      email: "ada@example.com", username: "ada", first_name: "Ada", last_name: "Lovelace", phone: "+441234567890",
      password: "correct horse battery staple", current_password: "correct horse battery staple", new_password: "another long and secret phrase",
    }[name];
  }
}

function exampleText(schema) {
  const known = {
    "date-time": "2026-01-31T12:00:00Z", date: "2026-01-31", uuid: "0198c5a0-7b1e-7cc4-9d3a-5f1e2b3c4d5e",
    email: "ada@example.com", uri: "https://example.com/", ipv4: "192.0.2.1", ipv6: "2001:db8::1",
  }[schema.format];
  return known ?? "string".padEnd(Math.min(schema.minLength ?? 0, 64), "-");
}
