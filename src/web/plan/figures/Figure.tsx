/** The card around a figure, and its legend. */
import type { ComponentChildren } from "preact";

/** A card with a drawing in it; what carries `data-figure` goes into the exported picture. */
export function Figure(props: {
  id: string;
  title: string;
  help?: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}) {
  return (
    <section class={`card figure ${props.class ?? ""}`} data-figure={props.title} aria-labelledby={`f-${props.id}`}>
      <div class="figure-head">
        <h2 id={`f-${props.id}`} title={props.help}>
          {props.title}
        </h2>
        {props.aside}
      </div>
      {props.children}
    </section>
  );
}

/** Names, colours and values of a drawing's parts. */
export function Legend({
  items,
  on,
  onPick,
}: {
  items: { name: string; color: string; value: string; help?: string }[];
  on?: string | null;
  onPick?: (name: string | null) => void;
}) {
  return (
    <ul class="legend">
      {items.map((item) => (
        <li
          key={item.name}
          class={on === item.name ? "on" : ""}
          title={item.help}
          onMouseEnter={() => onPick?.(item.name)}
          onMouseLeave={() => onPick?.(null)}
        >
          <i ref={(mark) => void (mark && (mark.style.background = item.color))} aria-hidden="true" />
          <span>{item.name}</span> <b>{item.value}</b>
        </li>
      ))}
    </ul>
  );
}
