/**
 * Chat templates in the shapes that published models have: what they look for in people's text, how they cut and join it.
 * Written for these tests; `tokens` are the marks that each of them needs.
 */
export const TEMPLATES: Record<string, { source: string; tokens: string[] }> = {
  /** DeepSeek-V3 and R1: system texts joined, all of a thought dropped by splitting at its end. */
  v3: {
    tokens: [],
    source: `{% set ns = namespace(system='') %}{%- for m in messages %}{%- if m['role'] == 'system' %}{% set ns.system = ns.system + '\n\n' + m['content'] if ns.system else m['content'] %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system }}{%- for m in messages %}{%- if m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}{%- elif m['role'] == 'assistant' and m['content'] is not none %}{% set content = m['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{ '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}`,
  },
  /** DeepSeek-V3.1: the answer says itself whether it was thought about. */
  v31: {
    tokens: [],
    source: `{{ bos_token }}{%- for m in messages %}{%- if m.role == 'user' %}{{ '<｜User｜>' + m.content }}{%- elif m.role == 'system' %}{{ m.content }}{%- else %}{%- set content = m.content -%}{%- if '</think>' in content %}{%- set content = content.split('</think>', 1)[1] -%}{%- endif %}{{ '<｜Assistant｜></think>' + content + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{ '<｜Assistant｜>' }}{{ '<think>' if thinking else '</think>' }}{%- endif %}`,
  },
  /** Qwen3: thoughts apart or in the content, tool results recognised by how a user's text begins and ends. */
  qwen3: {
    tokens: ["<|im_start|>", "<|im_end|>", "<tool_response>", "</tool_response>"],
    source: `{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}{%- endif %}{%- set ns = namespace(last=messages|length - 1, multi=true) %}{%- for m in messages[::-1] %}{%- set i = (messages|length - 1) - loop.index0 %}{%- if ns.multi and m.role == 'user' and m.content is string and not(m.content.startswith('<tool_response>') and m.content.endswith('</tool_response>')) %}{%- set ns.multi = false %}{%- set ns.last = i %}{%- endif %}{%- endfor %}{%- for m in messages %}{%- if m.role == 'user' or (m.role == 'system' and not loop.first) %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{%- elif m.role == 'assistant' %}{%- set thought = '' %}{%- set content = m.content %}{%- if m.reasoning_content is string %}{%- set thought = m.reasoning_content %}{%- elif '</think>' in content %}{%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}{%- set content = content.split('</think>')[-1].lstrip('\n') %}{%- endif %}{%- if loop.index0 > ns.last and (loop.last or thought) %}{{- '<|im_start|>assistant\n<think>\n' + thought.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}{%- else %}{{- '<|im_start|>assistant\n' + content }}{%- endif %}{{- '<|im_end|>\n' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- if thinking is defined and thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}`,
  },
  /** Llama 3: contents trimmed, the begin of text put before the first. */
  llama3: {
    tokens: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    source: `{% for m in messages %}{% set content = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}`,
  },
  /** SmolLM2 and others in ChatML, with a system text of its own. */
  chatml: {
    tokens: ["<|im_start|>", "<|im_end|>"],
    source: `{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
  },
  /** Phi-3 and Zephyr: marks made of the role's name. */
  composed: {
    tokens: ["<|user|>", "<|assistant|>", "<|system|>", "<|end|>"],
    source: `{% for m in messages %}{{ '<|' + m['role'] + '|>' + '\n' + m['content'] + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}`,
  },
  /** None of the published: takes characters out of people's text, and may put in marks of its own. */
  cutting: {
    tokens: ["<|image|>"],
    source: `{% for m in messages %}{{ m.content.replace('h', '') }}{{ m.content | replace('1', '') }}{{ m.content.split('\n') | join('') }}{{ 'a[IMG]b[IMG]'.replace('[IMG]', '<|image|>') }}{{ [m.content, m.content, 'x'] | join('<|image|>') }}{{ ['<|image|>', m.content] | join('') }}{% endfor %}`,
  },
  /** None of the published: one text right after another, so that a mark could be made of two. */
  bare: {
    tokens: [],
    source: `{% for m in messages %}{{ m.reasoning_content }}{{ m.content | trim }}{% endfor %}{{ messages | map(attribute='content') | join('') }}{{ messages | tojson }}`,
  },
};
