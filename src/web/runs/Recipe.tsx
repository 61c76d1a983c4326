/** A run's resolved recipe, or several side by side. */
import { useMemo, useState } from "preact/hooks";
import { flatten } from "../ui/flatten.ts";
import { CopyButton } from "../ui/parts.tsx";

/** The resolved recipe, every number of it; with several runs, one column each and their differences marked. */
export function Recipe({ recipes, names }: { recipes: unknown[]; names?: string[] }) {
  const [find, setFind] = useState("");
  const [onlyDifferent, setOnlyDifferent] = useState(recipes.length > 1);
  const rows = useMemo(() => {
    const tables = recipes.map((recipe) => new Map(flatten(recipe)));
    const keys = [...new Set(tables.flatMap((table) => [...table.keys()]))];
    return keys.map((key) => {
      const values = tables.map((table) => table.get(key) ?? "–");
      return { key, values, differs: new Set(values).size > 1 };
    });
  }, [recipes]);
  const shown = rows.filter(
    (row) =>
      row.key.toLowerCase().includes(find.toLowerCase()) && (recipes.length < 2 || !onlyDifferent || row.differs),
  );
  return (
    <div>
      <div class="row" hidden={rows.length < 12 && recipes.length < 2}>
        <input
          type="search"
          aria-label="Find a knob"
          placeholder="Find a knob"
          value={find}
          onInput={(event) => setFind(event.currentTarget.value)}
        />
        {recipes.length > 1 ? (
          <label class="row">
            <input
              type="checkbox"
              checked={onlyDifferent}
              onChange={(event) => setOnlyDifferent(event.currentTarget.checked)}
            />{" "}
            only what differs
          </label>
        ) : (
          <CopyButton text={() => JSON.stringify(recipes[0], null, 2)} label="Copy the recipe as JSON" />
        )}
      </div>
      <div class="table-box recipe-box">
        <table class="recipe">
          {names && (
            <thead>
              <tr>
                <th>knob</th>
                {names.map((name) => (
                  <th key={name}>{name}</th>
                ))}
              </tr>
            </thead>
          )}
          <tbody>
            {shown.map((row) => (
              <tr key={row.key} class={recipes.length > 1 && row.differs ? "differs" : ""}>
                <th scope="row">{row.key}</th>
                {row.values.map((value, i) => (
                  <td key={i}>{value}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p class="faint">{find ? "No knob of that name." : "The recipes are the same."}</p>}
      </div>
    </div>
  );
}
