/** XGrammar, compiled for the web, in a thread of Node's: only there, since loading it takes a name that belongs to browsers. */
import { StructureError } from "./error.ts";

/** What is used of it. */
interface XGrammar {
  TokenizerInfo: {
    createTokenizerInfo(
      vocab: string[],
      type: string,
      prependSpace: boolean,
      size: number,
      stops: number[],
    ): Promise<TokenizerInfo>;
  };
  GrammarCompiler: { createGrammarCompiler(info: TokenizerInfo): Promise<GrammarCompiler> };
  GrammarMatcher: { createGrammarMatcher(grammar: CompiledGrammar): Promise<GrammarMatcher> };
}
interface TokenizerInfo {
  dispose(): void;
}
interface GrammarCompiler {
  compileGrammar(grammar: string): Promise<CompiledGrammar>;
}
interface CompiledGrammar {
  dispose(): void;
}
interface GrammarMatcher {
  dispose(): void;
  acceptToken(id: number): boolean;
  _acceptString(text: string): boolean;
  getNextTokenBitmask(): Promise<Int32Array>;
}

/** A model's tokens, as a grammar reads them. */
export interface Vocabulary {
  /** In the byte alphabet of byte-level BPE, or as they are; "" for those that no text has. */
  tokens: string[];
  bytes: "raw" | "byte_level";
  stopIds: number[];
  /** Tokens of markup: none of them may come but in grammars that say so. */
  marks?: number[];
}

/** Where one text is in its grammar. */
export interface Matcher {
  /** Bits of the tokens that may come. */
  allowed(): Promise<Int32Array>;
  accept(id: number): void;
  /** Whether a text may come; it then has. */
  begin(text: string): boolean;
  dispose(): void;
}

/** Makes matchers of grammars. After a StructureError of its own it can be used on; after any other error it cannot. */
export class Grammars {
  readonly #compiled = new Map<string, CompiledGrammar>();

  private constructor(
    private readonly xgrammar: XGrammar,
    private readonly compiler: GrammarCompiler,
  ) {}

  static async create({ tokens, bytes, stopIds }: Vocabulary): Promise<Grammars> {
    const xgrammar = await load();
    const info = await xgrammar.TokenizerInfo.createTokenizerInfo(tokens, bytes, false, tokens.length, stopIds);
    return new Grammars(xgrammar, await xgrammar.GrammarCompiler.createGrammarCompiler(info));
  }

  async matcher(grammar: string): Promise<Matcher> {
    let compiled = this.#compiled.get(grammar);
    if (compiled === undefined) {
      compiled = await this.compiler.compileGrammar(grammar);
      if (this.#compiled.size >= MOST_COMPILED) this.#forgetOldest();
    }
    // the last used stands last
    this.#compiled.delete(grammar);
    this.#compiled.set(grammar, compiled);
    const matcher = await this.xgrammar.GrammarMatcher.createGrammarMatcher(compiled);
    return {
      allowed: () => matcher.getNextTokenBitmask(),
      accept: (id) => {
        if (!matcher.acceptToken(id)) throw new StructureError(`token ${id} is not of the grammar`);
      },
      begin: (text) => matcher._acceptString(text),
      dispose: () => matcher.dispose(),
    };
  }

  #forgetOldest(): void {
    const [oldest] = this.#compiled;
    if (oldest === undefined) return;
    this.#compiled.delete(oldest[0]);
    oldest[1].dispose();
  }
}

const MOST_COMPILED = 64;

/** The package looks for `location` and hangs itself into globalThis where it is loaded as an ES module. */
async function load(): Promise<XGrammar> {
  const scope = globalThis as { location?: unknown; xgrammar?: XGrammar };
  scope.location ??= { href: import.meta.url };
  await import("@mlc-ai/web-xgrammar");
  if (scope.xgrammar === undefined) throw new Error("xgrammar: expected to find it after loading it");
  return scope.xgrammar;
}
