"""The processor ``openai_chat_completion``: asks a language model about the conversation and keeps the answer.

Belongs here: py_vcon_server's options, what of the answer becomes the analysis. Not here: the question
(``model_question.py``), the call (``openai_calls.py``), the conversation as text (``conversation_lines.py``), how
``jq_result`` is run (``jq_child.py``).

``json_response`` and a ``jq_result`` that cuts a code fence off contradict each other (models fence JSON only where
they are not told to answer in JSON), and py_vcon_server's example has both. So a fence is taken off only where there
is one; and where the filter fails on an answer without a fence, it is asked once more of the answer with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from vcon_platform.jq_child import JqError, fault_in, shared_child
from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.processors.dialog_choice import chosen
from vcon_platform.processors.model_answer import AnswerSchema, choice, fenced, look, unfenced
from vcon_platform.processors.model_options import ModelOptions
from vcon_platform.processors.model_question import Answer, ModelProcessor, add_analysis, ask, check_wanted, heard

DEFAULT_PROMPT = "Summarize the transcript in this conversation."


def _filter(program: str) -> str:
    if fault := fault_in(program):
        raise ValueError(fault)
    return program


class OpenAIChatCompletionOptions(ModelOptions):
    """What ``openai_chat_completion`` can be told."""

    model: str = Field(
        default="gpt-4-1106-preview",
        min_length=1,
        max_length=200,
        title="Model",
        description="The model's name; at Azure that of the deployment.",
    )
    prompt: str = Field(
        default=DEFAULT_PROMPT, min_length=1, max_length=100_000, title="Prompt", description="What the model is to do."
    )
    system_prompt: str = Field(
        default="",
        max_length=100_000,
        title="System prompt",
        description="What the model is to be, told before everything else.",
    )
    max_tokens: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        title="Most tokens",
        description="Tokens that one answer may have; models that think use some of them up for that.",
    )
    jq_result: Annotated[str, AfterValidator(_filter)] = Field(
        default=".choices[0].message.content",
        title="Result",
        description="jq filter on the completion object; its first output is the analysis' body.",
    )
    json_response: bool = Field(
        default=False,
        title="JSON",
        description="True: the model must answer in JSON (the prompt has to say so too), and the body is that value.",
    )
    json_schema: AnswerSchema = Field(
        default=None,
        title="JSON Schema",
        description="The answer must be JSON that meets this schema; one that does not is asked for once more. The "
        "model is told the schema.",
    )
    analysis_type: str = Field(
        default="summary", min_length=1, max_length=200, title="Type", description="The analysis' type."
    )


class OpenAIChatCompletion(ModelProcessor[OpenAIChatCompletionOptions]):
    """A language model's answer."""

    name = "openai_chat_completion"
    version = "1.1.0"
    title = "Ask a language model"
    description = (
        "Asks a chat model of OpenAI, or of a service that speaks its protocol, about what was said, and adds its "
        "answer as an analysis."
    )
    options = OpenAIChatCompletionOptions

    def process(self, io: ProcessorIO, options: OpenAIChatCompletionOptions) -> ProcessorIO:
        """Raises NotApplicable where nothing was said or the conversation is passed over, NotConfigured without a key,
        and what the question raises. An answer in which ``jq_result`` finds nothing adds nothing."""
        check_wanted(io.vcon, options)
        answer = ask(
            io,
            self,
            options,
            task=options.prompt,
            said=heard(io.vcon, options),
            system=options.system_prompt,
            schema=options.json_schema,
            json_response=options.json_response,
        )
        body = _result(answer.reply, options)
        if body is not None:
            dialogs = chosen(options.input_dialogs, len(io.vcon.dialog))
            add_analysis(io.vcon, _analysis(body, dialogs, answer, options))
        return io


# --- the answer ------------------------------------------------------------------------------------------------


def _result(reply: dict[str, Any], options: OpenAIChatCompletionOptions) -> Any:
    fault: PermanentError | None = None
    in_json = options.json_response or options.json_schema is not None
    for candidate in _readings(reply, in_json):
        try:
            found = shared_child().first([options.jq_result], candidate)[0]
        except JqError as error:
            fault = fault or PermanentError(f"/jq_result: {error}; mend the filter and re-execute")
            continue
        if not in_json or not isinstance(found, str):
            return found
        try:
            return orjson.loads(unfenced(found))
        except orjson.JSONDecodeError:
            fault = fault or PermanentError(
                f"model {options.model} was to answer in JSON and did not ({look(found)}); say in the prompt that it "
                "must, and re-execute"
            )
    if fault is not None:
        raise fault
    return None


def _readings(reply: dict[str, Any], in_json: bool) -> Iterator[dict[str, Any]]:
    """The reply; then, for a filter that cuts a fence off an answer that has none, the reply with one."""
    yield reply
    message, _ = choice(reply)
    content = message.get("content")
    if in_json and isinstance(content, str) and not fenced(content):
        changed = {**message, "content": f"```json\n{content}\n```"}
        yield {**reply, "choices": [{**reply["choices"][0], "message": changed}, *reply["choices"][1:]]}


# --- the analysis ----------------------------------------------------------------------------------------------


def _analysis(body: Any, dialogs: list[int], answer: Answer, options: OpenAIChatCompletionOptions) -> dict[str, Any]:
    text = isinstance(body, str)
    schema = "text"
    if not text:
        query = "" if options.jq_result == "." else f" ?jq={options.jq_result}"
        schema = f"chat_completion_object{query}"
    analysis: dict[str, Any] = {
        "type": options.analysis_type,
        "vendor": "openai",
        "product": "ChatCompletion",
        "schema": schema,
        "mediatype": "text/plain" if text else "application/json",
        "encoding": "none" if text else "json",
        "body": body,
        "prompt": options.prompt,
        "model": options.model,
    }
    if options.system_prompt:
        analysis["system_prompt"] = options.system_prompt
    if dialogs:
        analysis["dialog"] = dialogs[0] if len(dialogs) == 1 else dialogs
    return {**analysis, **answer.members()}
