"""A small interface to a tokenizer of the `tokenizers` package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from tinkex.errors import TokenizerError, ValidationError
from tinkex.tokenizer.chat import ChatTemplate, check_variables
from tinkex.tokenizer.incremental import IncrementalDecoder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tokenizers

    TokenIds = Sequence[int] | npt.NDArray[np.integer[Any]]

# The package keeps several hundred bytes per token until a batch is done.
_BATCH_CHARACTERS = 1 << 20


class Tokenizer:
    """A tokenizer: encodes text as token ids, and decodes token ids as text.

    >>> tokenizer = get_tokenizer("tinkex/tiny-chat")
    >>> tokenizer.decode(tokenizer.encode("Hello"))
    'Hello'

    Thread-safe.

    Attributes:
        name: The tokenizer's id or path.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        name: str,
        *,
        marks: Mapping[str, str] | None = None,
        chat_template: ChatTemplate | None = None,
    ) -> None:
        self._backend = backend
        self.name = name
        self._marks = dict(marks or {})
        self._chat_template = chat_template

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """Return the underlying object of the `tokenizers` package."""
        return self._backend

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of a text.

        Special tokens written out in the text, such as ``<|im_end|>``, become their own ids.

        Args:
            text: The text.
            add_special_tokens: Whether to add the tokenizer's special tokens (such as a begin-of-text
                token).

        Raises:
            ValidationError: `text` is not a string, or has half of a surrogate pair.
        """
        return self.encode_batch([_one_text(text)], add_special_tokens)[0]

    def encode_batch(
        self, texts: Sequence[str], add_special_tokens: bool = True
    ) -> list[list[int]]:
        """Return the token ids of many texts, on all cores.

        >>> [len(ids) for ids in tokenizer.encode_batch(["Hello", ""])]
        [1, 0]

        Args:
            texts: The texts.
            add_special_tokens: As for `encode`.

        Raises:
            ValidationError: A text is not a string, or has half of a surrogate pair.
        """
        if isinstance(texts, str):
            raise ValidationError("must be a list of texts; for one text use encode", path="texts")
        ids: list[list[int]] = []
        for part in _parts(texts):
            try:
                encodings = self._backend.encode_batch_fast(
                    part, add_special_tokens=add_special_tokens
                )
            except (TypeError, UnicodeEncodeError) as error:
                raise _bad_text(texts) or error from None
            except Exception as error:
                # The package raises plain Exceptions.
                raise TokenizerError(
                    f"the tokenizer {self.name!r} cannot encode this: {error!s:.200}"
                ) from error
            ids.extend(encoding.ids for encoding in encodings)
        return ids

    def decode(self, tokens: TokenIds, skip_special_tokens: bool = False) -> str:
        """Return the text of token ids; invalid UTF-8 becomes U+FFFD.

        Args:
            tokens: Token ids: a list or an integer array. Ids outside the vocabulary, which models with a
                padded vocabulary can produce, are ignored.
            skip_special_tokens: Whether to omit special tokens from the text.

        Raises:
            ValidationError: An id is not an integer, or is negative.
        """
        ids = _listed(tokens)
        try:
            return str(self._backend.decode(ids, skip_special_tokens=skip_special_tokens))
        except (TypeError, OverflowError) as error:
            raise _bad_id([ids], "tokens") or error from None

    def decode_batch(
        self, sequences: Sequence[TokenIds], skip_special_tokens: bool = False
    ) -> list[str]:
        """Return the texts of many sequences of token ids, on all cores.

        Args:
            sequences: Lists or integer arrays of token ids.
            skip_special_tokens: As for `decode`.

        Raises:
            ValidationError: An id is not an integer, or is negative.
        """
        rows = [_listed(row, f"sequences[{index}]") for index, row in enumerate(sequences)]
        try:
            texts = self._backend.decode_batch(rows, skip_special_tokens=skip_special_tokens)
        except (TypeError, OverflowError) as error:
            raise _bad_id(rows, "sequences[{}]") or error from None
        return list(texts)

    @overload
    def __call__(self, text: str, add_special_tokens: bool = ...) -> dict[str, list[int]]: ...

    @overload
    def __call__(
        self, text: list[str] | tuple[str, ...], add_special_tokens: bool = ...
    ) -> dict[str, list[list[int]]]: ...

    def __call__(
        self, text: str | list[str] | tuple[str, ...], add_special_tokens: bool = True
    ) -> Any:
        """Return the token ids of a text, or of each of many, under the names of transformers.

        >>> sorted(tokenizer("Hello"))
        ['attention_mask', 'input_ids']

        Args:
            text: The text, or a list of texts.
            add_special_tokens: As for `encode`.

        Returns:
            ``input_ids``, and an ``attention_mask`` of ones; nothing is padded or cut.
        """
        if isinstance(text, str):
            ids = self.encode(text, add_special_tokens)
            return {"input_ids": ids, "attention_mask": [1] * len(ids)}
        rows = self.encode_batch(text, add_special_tokens)
        return {"input_ids": rows, "attention_mask": [[1] * len(ids) for ids in rows]}

    # The name that transformers gives to the same.
    batch_decode = decode_batch

    def __len__(self) -> int:
        return self.vocab_size

    def __bool__(self) -> bool:
        return True

    def get_vocab(self) -> dict[str, int]:
        """Return the id of each token of the vocabulary, special tokens included."""
        return dict(self._backend.get_vocab(with_added_tokens=True))

    @overload
    def convert_ids_to_tokens(self, ids: int) -> str | None: ...

    @overload
    def convert_ids_to_tokens(self, ids: TokenIds) -> list[str | None]: ...

    def convert_ids_to_tokens(self, ids: int | TokenIds) -> str | list[str | None] | None:
        """Return the token of an id, or those of several, as the vocabulary writes them."""
        if isinstance(ids, int):
            return self.id_to_token(ids)
        return [self.id_to_token(one) for one in _listed(ids, "ids")]

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int | None: ...

    @overload
    def convert_tokens_to_ids(self, tokens: list[str] | tuple[str, ...]) -> list[int | None]: ...

    def convert_tokens_to_ids(
        self, tokens: str | list[str] | tuple[str, ...]
    ) -> int | list[int | None] | None:
        """Return the id of a token, or those of several; None for what the vocabulary lacks."""
        if isinstance(tokens, str):
            return self.token_to_id(tokens)
        return [self.token_to_id(token) for token in tokens]

    def incremental_decoder(self, skip_special_tokens: bool = False) -> IncrementalDecoder:
        """Return a decoder for tokens that arrive one at a time.

        >>> decoder = tokenizer.incremental_decoder()
        >>> "".join([*map(decoder.feed, tokenizer.encode("Grüße 🙂")), decoder.finish()])
        'Grüße 🙂'

        Args:
            skip_special_tokens: As for `decode`.
        """
        return IncrementalDecoder(self._backend, skip_special_tokens=skip_special_tokens)

    @overload
    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = ...,
        tokenize: Literal[True] = ...,
        tools: Sequence[Mapping[str, Any]] | None = ...,
        **variables: Any,
    ) -> list[int]: ...

    @overload
    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = ...,
        tokenize: Literal[False],
        tools: Sequence[Mapping[str, Any]] | None = ...,
        **variables: Any,
    ) -> str: ...

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = False,
        tokenize: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **variables: Any,
    ) -> list[int] | str:
        r"""Render a conversation in the model's chat format.

        >>> messages = [{"role": "user", "content": "Hi"}]
        >>> tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n'

        The template comes with the tokenizer and runs in a sandbox: it can only read its arguments.

        Args:
            messages: The messages: a ``role`` and a ``content`` each, and further fields that the
                template supports.
            add_generation_prompt: Whether to end with the start of the assistant's turn.
            tokenize: Whether to return token ids or the text.
            tools: Descriptions of functions that the model may call.
            variables: Further variables of the template, such as ``enable_thinking``.

        Raises:
            ValidationError: A variable has no effect here, such as ``padding``.
            TokenizerError: The tokenizer has no template, or the template refuses the messages.
            MissingDependencyError: The extra ``chat`` is not installed.
        """
        check_variables(variables)
        if self._chat_template is None:
            raise TokenizerError(
                f"the tokenizer {self.name!r} has no chat template: neither chat_template.jinja nor "
                "tokenizer_config.json has one. Format the conversation yourself"
            )
        text = self._chat_template.render(
            _conversation(messages),
            tools=tools,
            add_generation_prompt=add_generation_prompt,
            **{**self._marks, **variables},
        )
        return self.encode(text, add_special_tokens=False) if tokenize else text

    @property
    def chat_template(self) -> str | None:
        """Return the source of the chat template, or None."""
        return self._chat_template.source if self._chat_template else None

    @property
    def template_variables(self) -> frozenset[str]:
        """Return the variables that the chat template reads, such as ``enable_thinking``."""
        return self._chat_template.variables if self._chat_template else frozenset()

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token in the vocabulary's notation, or None."""
        found: int | None = self._backend.token_to_id(token)
        return found

    def id_to_token(self, token: int) -> str | None:
        """Return a token in the vocabulary's notation, or None."""
        found: str | None = self._backend.id_to_token(token) if token >= 0 else None
        return found

    @property
    def vocab_size(self) -> int:
        """Return the number of token ids, including special tokens."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    @property
    def special_tokens(self) -> dict[str, int]:
        """Return the special tokens and their ids, in the order of the ids."""
        added = self._backend.get_added_tokens_decoder().items()
        return {token.content: id_ for id_, token in sorted(added) if token.special}

    @property
    def all_special_tokens(self) -> list[str]:
        """Return the special tokens, in the order of their ids."""
        return list(self.special_tokens)

    @property
    def all_special_ids(self) -> list[int]:
        """Return the ids of the special tokens, in order."""
        return list(self.special_tokens.values())

    @property
    def bos_token(self) -> str | None:
        """Return the beginning-of-text token, if the tokenizer has one."""
        return self._marks.get("bos_token")

    @property
    def bos_token_id(self) -> int | None:
        """Return the id of the beginning-of-text token, if the tokenizer has one."""
        return self._mark_id("bos_token")

    @property
    def eos_token(self) -> str | None:
        """Return the end-of-text token, if the tokenizer has one."""
        return self._marks.get("eos_token")

    @property
    def eos_token_id(self) -> int | None:
        """Return the id of the end-of-text token, if the tokenizer has one."""
        return self._mark_id("eos_token")

    @property
    def pad_token(self) -> str | None:
        """Return the padding token, if the tokenizer has one."""
        return self._marks.get("pad_token")

    @property
    def pad_token_id(self) -> int | None:
        """Return the id of the padding token, if the tokenizer has one."""
        return self._mark_id("pad_token")

    @property
    def unk_token(self) -> str | None:
        """Return the unknown token, if the tokenizer has one."""
        return self._marks.get("unk_token")

    @property
    def unk_token_id(self) -> int | None:
        """Return the id of the unknown token, if the tokenizer has one."""
        return self._mark_id("unk_token")

    def _mark_id(self, name: str) -> int | None:
        mark = self._marks.get(name)
        return None if mark is None else self.token_to_id(mark)

    def __repr__(self) -> str:
        return f"<Tokenizer {self.name}: {self.vocab_size} tokens>"


def _conversation(messages: Any) -> Any:
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise ValidationError(
            "must be a list such as [{'role': 'user', 'content': 'Hi'}], not "
            f"{type(messages).__name__}",
            path="messages",
        )
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ValidationError(
                f"must have a role and a content, not a {type(message).__name__}",
                path=f"messages[{index}]",
            )
    return messages


def _one_text(text: str) -> str:
    if not isinstance(text, str):
        raise ValidationError(f"must be a text, not {type(text).__name__}", path="text")
    return text


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for text in texts:
        part.append(text)
        size += len(text) if isinstance(text, str) else 0
        if size >= _BATCH_CHARACTERS:
            yield part
            part, size = [], 0
    if part:
        yield part


def _bad_text(texts: Sequence[Any]) -> ValidationError | None:
    for index, text in enumerate(texts):
        path = f"texts[{index}]" if len(texts) > 1 else "text"
        if not isinstance(text, str):
            return ValidationError(f"must be a text, not {type(text).__name__}", path=path)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return ValidationError(
                f"has half of a surrogate pair at position {error.start}, which is not a character; "
                "was it decoded with errors='surrogateescape'?",
                path=path,
            )
    return None


def _listed(tokens: Any, path: str = "tokens") -> list[int]:
    to_list = getattr(tokens, "tolist", None)
    if to_list is not None:
        tokens = to_list()
    if isinstance(tokens, str | bytes) or not isinstance(tokens, Iterable):
        raise ValidationError(
            f"must be a list of token ids, not {type(tokens).__name__}", path=path
        )
    return list(tokens)


def _bad_id(rows: Sequence[Sequence[Any]], path: str) -> ValidationError | None:
    for number, row in enumerate(rows):
        for index, token in enumerate(row):
            if not hasattr(token, "__index__") or not 0 <= int(token) < 1 << 32:
                return ValidationError(
                    f"{token!r:.50} is not a token id", path=f"{path.format(number)}[{index}]"
                )
    return None
