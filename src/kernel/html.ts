/** Text that is HTML already. Only `html` and `join` make it, so whatever is not one is escaped. */
export class Html {
  constructor(readonly text: string) {}
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** A template whose values are escaped unless they are HTML. Attribute values must stand in double quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | number | Html)[]): Html {
  return new Html(
    parts.reduce((text, part, index) => {
      const value = values[index - 1] ?? '';
      return text + (value instanceof Html ? value.text : escape(String(value))) + part;
    }),
  );
}

export function join(parts: readonly Html[]): Html {
  return new Html(parts.map(({ text }) => text).join(''));
}
