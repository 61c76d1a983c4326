"""Writes src/tokenizer/fixtures/rules.json: what Hugging Face's tokenizers (Rust) makes of texts by each kind of rule that Sumbi takes.

Made with
    python scripts/make-rules-fixture.py
The version stands in the file. Texts: every white space, format and control character of Unicode's first plane in places where rules differ about
them, and some scripts, digits and punctuation.
"""
import json
import pathlib
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

OUT = pathlib.Path(__file__).resolve().parent.parent / "src/tokenizer/fixtures/rules.json"

odd = [chr(c) for c in range(0x10000) if unicodedata.category(chr(c)) in ("Zs", "Zl", "Zp", "Cf", "Cc") and not 0xfff0 <= c <= 0xfff8]
shapes = ["{c}", "a{c}b", " {c} x", "a{c}{c}b", "1{c}\n{c}2", "{c}'s.{c}", "  {c}\u3000a"]
texts = [shape.replace("{c}", c) for c in odd for shape in shapes]
texts += [
    "", " ", "it's IT'S i'll WE'LL I'\u017f don't", "1234567 12\u0664\u0665 \u2167\u00bd\u00b2 x9y", "a_b-c \u00abq\u00bb \u3002\uff01 #$+<=>^`|~ \u00a7", "\u0041\u030a e\u0301 \u1e9b\u0323 \ufb01 \u1100\u1161\u11a8",
    "\u03a3\u03a3 \u0130I \u01c5 \u1e9e", "\u4e00\u4e8c\u3042\u30a2\ud55c\uae00 \U0001f600\U0001f468\u200d\U0001f469 \u0e01\u0e33\u0915\u094d\u0937", "tab\tnl\r\n\r\n  end  ", "\u00aa\u24b6\u00df\u0307", "http://x.y/z?a=1&b=%20", "(a) [b]{c}!?..., x",
]

GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
V3 = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]


def split(regex=None, behavior="Isolated", invert=False, string=None):
    return {"type": "Split", "pattern": {"Regex": regex} if string is None else {"String": string}, "behavior": behavior, "invert": invert}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def byte_level(add_prefix_space=False, use_regex=True):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


plain = byte_level(use_regex=False)
pre = {
    "gpt2": byte_level(), "gpt2 with a space": byte_level(add_prefix_space=True), "bytes with a space": byte_level(True, False),
    "llama 3": sequence(split(GPT4), plain), "qwen 2": sequence(split(QWEN), plain), "o200k": sequence(split(O200K), plain), "deepseek v3": sequence(*map(split, V3), plain),
    "smollm": sequence({"type": "Digits", "individual_digits": True}, byte_level()), "digit runs": sequence({"type": "Digits", "individual_digits": False}, plain),
    **{f"punctuation {b}": sequence({"type": "Punctuation", "behavior": b}, plain) for b in ("Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext")},
    "whitespace": sequence({"type": "Whitespace"}, plain), "whitespace split": sequence({"type": "WhitespaceSplit"}, plain),
    **{f"split at spaces {b}": sequence(split(r"\s", b), plain) for b in ("Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext")},
    "words kept": sequence(split(r"\w+|[^\w\s]+", "Removed", True), plain), "a text": sequence(split(string="a", behavior="MergedWithNext"), plain), "words apart": sequence(split(r"\b", "Isolated"), plain),
}
norm = {
    **{name: {"type": name} for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")},
    **{f"Strip {l} {r}": {"type": "Strip", "strip_left": l, "strip_right": r} for l in (True, False) for r in (True, False)},
    "Prepend": {"type": "Prepend", "prepend": "_"}, "Replace spaces": {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": "$_"}, "Replace a text": {"type": "Replace", "pattern": {"String": "a"}, "content": "bb"},
    "Sequence": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
}


def tokenizer(pre_tokenizer=None, normalizer=None):
    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": []},
    }))


added = [
    {"content": "<r>", "rstrip": True}, {"content": "<l>", "lstrip": True}, {"content": "<b>", "lstrip": True, "rstrip": True}, {"content": "word", "single_word": True}, {"content": "words"}, {"content": "  "},
    {"content": "<N>", "normalized": True}, {"content": "\u00c9t\u00c9", "normalized": True}, {"content": "<s>", "special": True},
]
around = [piece.replace("{t}", t["content"]) for t in added for piece in ["{t}", "a {t} b", "a\u0085{t}\ufeffb", "a  {t}  {t}b", "x{t}y", "\u00e9{t}\u0301", "_{t}-", "{t}\u200d{t}", " {t}\n\n{t} "]] + ["words wordsword swords", "E\u0301tE\u0301 e\u0301te\u0301 \u00e9t\u00e9 \u00c9t\u00c9", "<n> <N> <S> <s>"]


def added_ids(normalizer):
    one = tokenizer(byte_level(), normalizer)
    for token in added:
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **token}
        one.add_tokens([AddedToken(flags.pop("content"), **flags)])
    return {"normalizer": normalizer, "ids": [one.encode(text, add_special_tokens=False).ids for text in around]}


def template(before, after):
    token = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [*map(token, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(token, after)], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [256], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [257], "tokens": ["</s>"]}, "<both>": {"id": "<both>", "ids": [256, 257], "tokens": ["<s>", "</s>"]}}}


offsets = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
around_text = {
    "null": None, "ByteLevel": offsets, "before": template(["<s>"], []), "after": template([], ["</s>"]), "both": template(["<s>"], ["</s>"]), "two": template(["<both>", "<s>"], ["<both>"]),
    "Sequence": {"type": "Sequence", "processors": [offsets, template(["<s>"], [])]},
    "RobertaProcessing": {"type": "RobertaProcessing", "sep": ["</s>", 257], "cls": ["<s>", 256], "trim_offsets": True, "add_prefix_space": False}, "BertProcessing": {"type": "BertProcessing", "sep": ["</s>", 257], "cls": ["<s>", 256]},
}


def surrounded(rule):
    whole = json.loads(tokenizer(byte_level()).to_str())
    whole["post_processor"] = rule
    whole["added_tokens"] = [{"id": 256 + i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i, content in enumerate(["<s>", "</s>"])]
    one = Tokenizer.from_str(json.dumps(whole))
    return {"rule": rule, "ids": [one.encode(text, add_special_tokens=True).ids for text in ("hi", "", "<s>hi")]}


OUT.write_text(json.dumps({
    "version": tokenizers.__version__,
    "texts": texts,
    # lengths of the pieces, in characters of the byte alphabet
    "pre_tokenizers": {name: {"rule": rule, "pieces": [[len(piece) for piece, _ in tokenizer(rule).pre_tokenizer.pre_tokenize_str(text)] for text in texts]} for name, rule in pre.items()},
    "normalizers": {name: {"rule": rule, "texts": [tokenizer(None, rule).normalizer.normalize_str(text) for text in texts[-120:]]} for name, rule in norm.items()},
    "added": {"tokens": added, "texts": around, "cases": [added_ids(rule) for rule in (None, norm["NFC"], norm["Lowercase"], norm["Sequence"])]},
    "post_processors": {name: surrounded(rule) for name, rule in around_text.items()},
}, ensure_ascii=True, separators=(",", ":")) + "\n")
print(len(odd), len(texts), OUT.stat().st_size)
