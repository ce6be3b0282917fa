from detente.sentences import MAX_SENTENCE_CHARS, split_sentences


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


def test_offsets_count_characters_of_the_text_that_was_given() -> None:
    text = "  Zoë's army left. 🙂 Talks, the U.S. said, resume.\r\n\r\nMr. Smith agreed."
    assert sentences(text) == ["Zoë's army left.", "🙂 Talks, the U.S. said, resume.", "Mr. Smith agreed."]


def test_a_headline_without_a_full_stop_is_a_sentence_of_its_own() -> None:
    text = "Neighbours reopen embassies\nThe ministers met on Tuesday and shook hands at the border, officials said."
    assert len(sentences(text)) == 2


def test_lines_wrapped_at_a_width_are_joined() -> None:
    first = "The ministers met on\nTuesday and agreed to\nreopen the embassies that\nhad been shut in March."
    assert sentences(f"{first}\nTraders cheered.") == [first, "Traders cheered."]


def test_a_list_of_headlines_of_like_length_is_not_taken_for_wrapped_text() -> None:
    lines = ["Ceasefire holds in river town", "Missiles strike harbour again", "Central bank keeps main rate"]
    assert sentences("\n".join(lines)) == lines


def test_a_megabyte_of_open_quotes_is_split_without_a_gap() -> None:
    text = "“Talks resume. " * 70_000
    assert "".join(sentences(text)).replace(" ", "") == text.replace(" ", "")


def test_text_without_punctuation_is_cut_so_that_all_of_it_is_read() -> None:
    text = "shelling " * 500
    found = split_sentences(text)
    assert all(end - start <= MAX_SENTENCE_CHARS for start, end in found)
    assert "".join(sentences(text)).replace(" ", "") == "shelling" * 500


def test_a_megabyte_without_a_space_is_cut_too() -> None:
    assert sum(end - start for start, end in split_sentences("x" * 1_000_000)) == 1_000_000


def test_nothing_but_white_space_has_no_sentences() -> None:
    assert split_sentences(" \n\t ") == []
