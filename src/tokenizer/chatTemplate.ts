/** The chat template that Sumbi writes for the models it trains. */
import { ASSISTANT, END_THINK, EOS, THINK, USER } from "./special.ts";

/**
 * The chat template that Sumbi writes into tokenizer_config.json, with the behaviour of DeepSeek-V3.1's:
 * system texts first, `<｜User｜>…`, `<｜Assistant｜>` + thought or a bare `</think>` + answer + end of sentence.
 * Thoughts of turns before the last question are dropped. `thinking` true or false opens or closes the thought in
 * the generation prompt; undefined lets the model choose. `keep_thoughts` keeps them all, for training text.
 * Differs: an answer after the last question keeps its thought; thoughts may also come as `reasoning_content`.
 */
export const CHAT_TEMPLATE = [
  "{%- set state = namespace(system='', last_question=-1) -%}",
  "{%- for message in messages -%}",
  "{%- if message['role'] == 'system' -%}",
  "{%- set state.system = state.system + ('\\n\\n' if state.system else '') + message['content'] -%}",
  "{%- elif message['role'] == 'user' -%}",
  "{%- set state.last_question = loop.index0 -%}",
  "{%- elif message['role'] != 'assistant' -%}",
  "{{- raise_exception('unknown role: ' + message['role']) -}}",
  "{%- endif -%}",
  "{%- endfor -%}",
  "{{- bos_token + state.system -}}",
  "{%- for message in messages -%}",
  "{%- if message['role'] == 'user' -%}",
  `{{- '${USER}' + message['content'] -}}`,
  "{%- elif message['role'] == 'assistant' -%}",
  "{%- set answer = message['content'] or '' -%}",
  "{%- set thought = message['reasoning_content'] or '' -%}",
  `{%- if '${END_THINK}' in answer -%}`,
  `{%- set thought = answer.split('${END_THINK}')[0].split('${THINK}')[-1] -%}`,
  `{%- set answer = answer.split('${END_THINK}')[1:] | join('${END_THINK}') -%}`,
  "{%- endif -%}",
  `{{- '${ASSISTANT}' -}}`,
  "{%- if thought and (keep_thoughts or loop.index0 > state.last_question) -%}",
  `{{- '${THINK}' + thought -}}`,
  "{%- endif -%}",
  `{{- '${END_THINK}' + answer + '${EOS}' -}}`,
  "{%- endif -%}",
  "{%- endfor -%}",
  "{%- if add_generation_prompt -%}",
  `{{- '${ASSISTANT}' -}}`,
  `{%- if thinking is defined and thinking is not none -%}{{- '${THINK}' if thinking else '${END_THINK}' -}}{%- endif -%}`,
  "{%- endif -%}",
].join("\n");
