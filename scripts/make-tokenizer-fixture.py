"""Writes src/tokenizer/fixtures/*/expected.json: what transformers makes of the tokenizers that Sumbi trained.

Made with
    SUMBI_FIXTURES=write npx vitest run src/tokenizer/parity.test.ts   # Sumbi trains, writes tokenizer.json and tokenizer_config.json
    python scripts/make-tokenizer-fixture.py                           # transformers loads, encodes, decodes; tokenizers trains
Versions stand in the files. The training text is Moby-Dick, chapters 1 to 12 (data/moby-dick.json.br), and strings.json.
"""
import json
import pathlib
import random
import re
import subprocess
import unicodedata

import tokenizers
import transformers
from tokenizers import AddedToken, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "src/tokenizer/fixtures"
UNPACK = "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync('data/moby-dick.json.br')))"
contents, _, _, *chapters = json.loads(subprocess.check_output(["node", "-e", UNPACK], cwd=ROOT))
titles = re.findall(r"^CHAPTER \d+\. .*$", contents, re.MULTILINE)
SEED = 20241226

strings = json.loads((FIXTURES / "strings.json").read_text())
rng = random.Random(SEED)
letters = [chr(c) for c in range(0x20, 0x3100) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
pool = [list("ab Z09.,'\n\t\r-_<｜>é中あ가😀 "), letters, list("  \n\r\t\u00a0\u3000ab1"), list("中文あカ가0123456789ab+-=*/")]
for _ in range(240):
    alphabet = rng.choice(pool)
    strings.append("".join(rng.choice(alphabet) for _ in range(rng.randint(1, 40))))

chats = [
    [{"role": "user", "content": "hi"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1+1?"}, {"role": "assistant", "content": "<think>1+1=2</think>2."}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>t1</think>b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "reasoning_content": "t2"}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "x </think> y </think> z"}, {"role": "user", "content": "c"}],
    [{"role": "system", "content": "one"}, {"role": "system", "content": "two"}, {"role": "user", "content": "  {{ bos_token }} \n"}],
]
settings = [{}, {"add_generation_prompt": True}, {"add_generation_prompt": True, "thinking": True}, {"add_generation_prompt": True, "thinking": False}, {"keep_thoughts": True}]

for folder in sorted(path for path in FIXTURES.iterdir() if path.is_dir()):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    spec = json.loads((folder / "tokenizer.json").read_text())
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in strings]
    size = len(tokenizer)
    streams = [[rng.randrange(size) for _ in range(rng.randint(1, 24))] for _ in range(80)]

    empty = json.dumps({**spec, "added_tokens": [], "model": {**spec["model"], "vocab": {}, "merges": []}})
    learner = tokenizers.Tokenizer.from_str(empty)
    texts = [f"{title}\n\n{text}" for title, text in zip(titles[:12], chapters[:12])] + strings[:50]
    first = [AddedToken(token["content"], special=True) for token in spec["added_tokens"][:3]]
    learner.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size - len(spec["added_tokens"]) + 3, min_frequency=2, special_tokens=first,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    learned = json.loads(learner.to_str())["model"]

    (folder / "expected.json").write_text(json.dumps({
        "versions": {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__},
        "seed": SEED,
        "size": size,
        "bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id,
        "strings": [{"text": text, "ids": i, "decoded": tokenizer.decode(i), "skipped": tokenizer.decode(i, skip_special_tokens=True)} for text, i in zip(strings, ids)],
        "streams": [{"ids": i, "decoded": tokenizer.decode(i), "skipped": tokenizer.decode(i, skip_special_tokens=True)} for i in streams],
        "chats": [{"messages": chat, "options": options, "text": tokenizer.apply_chat_template(chat, tokenize=False, **options)} for chat in chats for options in settings],
        "trained": {"vocab": learned["vocab"], "merges": [list(pair) for pair in learned["merges"]]},
    }, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(folder.name, size, len(strings))
