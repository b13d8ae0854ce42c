"""One question to a language model about a conversation: the base of every processor that asks one.

    class Contentment(ModelProcessor[ContentmentOptions]):      # options: a subclass of ModelOptions
        def process(self, io, options):
            check_wanted(io.vcon, options)                      # only_if, sampling_rate: NotApplicable
            lines = heard(io.vcon, options, numbered=True)      # NotApplicable where nothing was said
            numbers = {line.number for line in lines}
            answer = ask(
                io,
                self,
                options,
                task="How content is the customer, from 1 to 5? Name the lines that show it by their numbers.",
                said=lines,
                schema={
                    "type": "object",
                    "properties": {
                        "score": {"type": "integer", "minimum": 1, "maximum": 5},
                        "lines": {"type": "array", "items": {"type": "integer"}},
                    },
                    "required": ["score", "lines"],
                    "additionalProperties": False,
                },
                check=lambda value: None if numbers.issuperset(value["lines"]) else "/lines holds numbers of no line",
            )
            add_analysis(io.vcon, {"type": "contentment", "body": answer.value, ..., **answer.members()})
            return io

``numbered=True`` puts ``#7`` before each line; ``line.number`` is the index into ``turns(vcon)``. What must be done
part by part and not be made into one answer (a translation) uses :func:`ask_each_part`.

Belongs here: putting a question, again where the answer has not the form asked for, and put in parts where the
conversation is too long. Not here: its words (``model_messages.py``), the call (``openai_calls.py``), reading an answer
(``model_answer.py``), sizes (``model_tokens.py``), the options (``model_options.py``), any one processor's task.

A model may be talked into something by what people said; so what it says never does more than become an analysis, or a
tag of a kind that the definition names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from vcon_platform.processors.base import Effects, NotApplicable, PermanentError, Processor, ProcessorIO, Usage
from vcon_platform.processors.conversation_lines import Line, one_line, said
from vcon_platform.processors.dialog_choice import chosen, is_all
from vcon_platform.processors.model_answer import (
    Answer,
    Malformed,
    check_ended,
    check_schema,
    choice,
    is_strict,
    json_in,
    text_of,
    tokens_of,
)
from vcon_platform.processors.model_messages import COMBINE, PART, TRANSCRIPT, around, mending, messages
from vcon_platform.processors.model_options import ModelOptions, check_wanted, service_of
from vcon_platform.processors.model_tokens import PER_MESSAGE, context_of, estimate, parts_of, size
from vcon_platform.processors.openai_calls import ChatService, TooLong, shared_calls
from vcon_platform.vcon.document import Vcon

__all__ = [
    "Answer",
    "Check",
    "Line",
    "ModelProcessor",
    "add_analysis",
    "ask",
    "ask_each_part",
    "check_wanted",
    "heard",
]

Check = Callable[[Any], str | None]
"""What is wrong with an answer (JSON value, or text where no schema is given), in words for the model; None: nothing.
The sentence is shown to people too, so it must hold nothing of what was said."""

_LEAST_ROOM = 200
"""Tokens of a conversation that a question must have room for."""


class ModelProcessor[O: ModelOptions](Processor[O]):
    """Base of processors that ask a language model and write what it answers."""

    effects = Effects(costs=True, network=True, changes=True, purpose="analysis")
    pool = "openai"

    @classmethod
    def pool_of(cls, options: O) -> str | None:
        """One pool for each service: their limits are their own."""
        return options.service


def heard(vcon: Vcon, options: ModelOptions, *, numbered: bool = False) -> list[Line]:
    """What was said in the dialogs that ``input_dialogs`` names. Raises NotApplicable where nothing is known."""
    every = is_all(options.input_dialogs)
    lines = said(vcon, None if every else chosen(options.input_dialogs, len(vcon.dialog)), numbered=numbered)
    if not lines:
        raise NotApplicable("nothing was said that is known; put transcribe or deepgram before this processor")
    return lines


def ask(
    io: ProcessorIO,
    processor: Processor[Any],
    options: ModelOptions,
    *,
    task: str,
    said: Sequence[Line],
    system: str = "",
    schema: Mapping[str, Any] | None = None,
    check: Check | None = None,
    combine: str = "",
    json_response: bool = False,
    max_tokens: int | None = None,
    material: str = TRANSCRIPT,
) -> Answer:
    """Ask and give the answer, one for the whole conversation however long it is.

    ``system``: what the model is to be, before everything else. With ``schema`` the answer is JSON that meets it, with
    ``check`` one in which that finds nothing wrong; what does not is asked for once more, with the fault.
    ``combine``: more about how answers to parts are made into one. ``json_response``: ask for JSON and do not look at
    it. ``max_tokens`` goes before the option's. ``material``: what ``said`` is, where it is no transcript.

    Every call is bought (``io.buy``): an equal question is paid for once. Raises NotConfigured without a key, TooLong
    where a long conversation is refused, PermanentError where the model declines, breaks off, or twice misses the form,
    and what the call raises.
    """
    most = max_tokens or options.max_tokens
    service = service_of(options)
    asker = _Asker(io, processor, options, service, system, schema, check, json_response, most, material)
    answers = asker.each_part(said, task)
    while len(answers) > 1:
        answers = asker.combined(answers, f"{COMBINE} {combine}".strip(), task)
    return answers[0][1]


def ask_each_part(
    io: ProcessorIO,
    processor: Processor[Any],
    options: ModelOptions,
    *,
    task: str,
    said: Sequence[Line],
    system: str = "",
    schema: Mapping[str, Any] | None = None,
    check: Callable[[Any, list[Line]], str | None] | None = None,
    max_tokens: int | None = None,
    most: int | None = None,
) -> list[tuple[list[Line], Answer]]:
    """Ask about each part that the model can read at once, and give every part's lines and answer, in order.

    ``check`` is given the part's lines too. ``most``: estimated tokens of conversation that a part may have, for
    answers as long as what they answer to (a translation); a line longer than that comes in pieces with the same
    number. Raises as :func:`ask`.
    """
    service = service_of(options)
    asker = _Asker(io, processor, options, service, system, schema, None, False, max_tokens or options.max_tokens)
    return asker.each_part(said, task, most=most, check=check)


def add_analysis(vcon: Vcon, analysis: dict[str, Any]) -> None:
    """Add the analysis, unless the same one is there: running a pipeline again adds nothing."""
    if analysis not in vcon.analysis:
        vcon.append("analysis", analysis)


# --- how it is asked -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asker:
    io: ProcessorIO
    processor: Processor[Any]
    options: ModelOptions
    service: ChatService
    system: str
    schema: Mapping[str, Any] | None
    check: Check | None
    json_response: bool
    max_tokens: int
    material: str = TRANSCRIPT

    # --- parts

    def each_part(
        self,
        lines: Sequence[Line],
        task: str,
        *,
        most: int | None = None,
        check: Callable[[Any, list[Line]], str | None] | None = None,
    ) -> list[tuple[list[Line], Answer]]:
        room = self._room(task)
        total = sum(size(line) for line in lines)
        if total > room and self.options.long == "refuse":
            raise TooLong(
                f"the conversation has about {total} tokens, and model {self.options.model} has room for {room}; "
                "choose a larger model, correct context_tokens, or set long: split"
            )
        room = min(room, most or room)
        while True:
            parts = [list(lines)] if total <= room else parts_of(lines, room)
            about = PART if len(parts) > 1 else ""
            try:
                return [(part, self._answer(part, task, about, _about(check, part) or self.check)) for part in parts]
            except TooLong:  # says the service, of what was thought to fit
                if self.options.long == "refuse" or min(room, total) // 2 < _LEAST_ROOM:
                    raise
                room = min(room, total) // 2

    def combined(
        self, answers: list[tuple[list[Line], Answer]], how: str, task: str
    ) -> list[tuple[list[Line], Answer]]:
        """Fewer answers made of these: one, if they can be read at once."""
        given = [
            Line(None, f"Answer about part {number}: ", one_line(_as_text(answer)))
            for number, (_, answer) in enumerate(answers, 1)
        ]
        room = self._room(f"{how}\n{task}")
        groups: list[list[tuple[Line, Answer]]] = [[]]
        now = 0
        for (_, answer), line in zip(answers, given, strict=True):
            if groups[-1] and now + size(line) > room:
                groups.append([])
                now = 0
            groups[-1].append((line, answer))
            now += size(line)
        if len(groups) == len(answers):
            raise PermanentError(
                f"/max_tokens: the answers about parts are too long for model {self.options.model} to make one of "
                "them; lower it, or choose a larger model"
            )
        return [self._one(group, how, task) for group in groups]

    def _one(self, group: list[tuple[Line, Answer]], how: str, task: str) -> tuple[list[Line], Answer]:
        lines, parts = [line for line, _ in group], [answer for _, answer in group]
        if len(group) == 1:
            return lines, parts[0]
        made = self._answer(lines, task, how, self.check)
        return lines, replace(
            made,
            usage=_sum(*(each.usage for each in (*parts, made))),
            parts=sum(part.parts for part in parts),
            repaired=any(each.repaired for each in (*parts, made)),
            truncated=any(each.truncated for each in (*parts, made)),
        )

    def _room(self, task: str) -> int:
        """Estimated tokens of conversation that one question has room for."""
        context = self.options.context_tokens or context_of(self.options.model)
        texts = around(task, self.material, self.system, self.schema)
        fixed = sum(estimate(text) + PER_MESSAGE for text in texts)
        answers = self.max_tokens * (2 if self.schema is not None or self.check is not None else 1)  # one to mend
        room = context - fixed - answers
        if room < _LEAST_ROOM:
            raise PermanentError(
                f"/max_tokens: {self.max_tokens} tokens of answer and about {fixed} of prompt leave no room for a "
                f"conversation in the {context} of model {self.options.model}; lower it, shorten the prompt, or choose "
                "a larger model"
            )
        return room

    # --- one question

    def _answer(self, lines: list[Line], task: str, about: str, check: Check | None) -> Answer:
        request = self._request(lines, task, about)
        reply = self._bought(request)
        try:
            return Answer(self._value(reply, check), text_of(reply), reply, tokens_of(reply), truncated=_cut(reply))
        except Malformed as fault:
            more = mending(text_of(reply), fault.for_model, layout=self.options.messages)
        second = self._bought({**request, "messages": [*request["messages"], *more]})
        usage = _sum(tokens_of(reply), tokens_of(second))
        try:
            return Answer(self._value(second, check), text_of(second), second, usage, repaired=True)
        except Malformed as fault:
            raise PermanentError(
                f"model {self.options.model} was asked twice, and its answer has not the form it must have: "
                f"{fault.for_people}; change the prompt or the model, and re-execute"
            ) from None

    def _bought(self, request: dict[str, Any]) -> dict[str, Any]:
        digest = hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()

        def call() -> tuple[dict[str, Any], Usage]:
            left, most = self.io.context.remaining(), self.options.answer_timeout
            reply = shared_calls().create(request, self.service, seconds=left, most=most)
            return reply, self._usage(request, reply)

        bought: dict[str, Any] = self.io.buy(self.processor, (digest, self.service.identity), call)
        return bought

    def _usage(self, request: dict[str, Any], reply: dict[str, Any]) -> Usage:
        """As the service says; where it does not, as it is estimated, so that a budget holds."""
        tokens = tokens_of(reply)
        read, written = tokens.get("prompt_tokens"), tokens.get("completion_tokens")
        return Usage(
            self.service.usage_name,
            self.options.model,
            input_tokens=sum(estimate(each["content"]) for each in request["messages"]) if read is None else read,
            output_tokens=estimate(text_of(reply)) if written is None else written,
        )

    def _value(self, reply: dict[str, Any], check: Check | None) -> Any:
        """Raises Malformed, PermanentError."""
        formed = self.schema is not None or check is not None
        check_ended(reply, self.options.model, self.max_tokens, whole=formed or self.json_response)
        text = text_of(reply)
        value: Any = text
        if self.schema is not None:
            value = json_in(text)
            check_schema(value, self.schema)
        if check is not None and (fault := check(value)):
            raise Malformed(fault, fault)
        return value

    def _request(self, lines: list[Line], task: str, about: str) -> dict[str, Any]:
        asked = messages(
            lines,
            task,
            layout=self.options.messages,
            material=self.material,
            system=self.system,
            schema=self.schema,
            about=about,
        )
        request = {
            "model": self.options.model,
            "messages": asked,
            "max_tokens": self.max_tokens,
            "temperature": self.options.temperature,
            **self.options.additional,
        }
        if self.schema is not None and self.schema.get("type") == "object":  # services know no others
            wanted = {"name": "answer", "strict": is_strict(self.schema), "schema": dict(self.schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": wanted}
        elif self.json_response:
            request["response_format"] = {"type": "json_object"}
        return request


def _about(check: Callable[[Any, list[Line]], str | None] | None, lines: list[Line]) -> Check | None:
    return None if check is None else lambda value: check(value, lines)


def _sum(*usages: Mapping[str, int]) -> dict[str, int]:
    names = dict.fromkeys(name for usage in usages for name in usage)
    return {name: sum(usage.get(name, 0) for usage in usages) for name in names}


def _cut(reply: dict[str, Any]) -> bool:
    return choice(reply)[1] == "length"


def _as_text(answer: Answer) -> str:
    return answer.text if isinstance(answer.value, str) else orjson.dumps(answer.value).decode()
