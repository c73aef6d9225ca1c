import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from microgpt import load_text
from microgpt.data.documents import load_documents
from microgpt.data.text_file import ReadOptions
from microgpt.errors import DataError

TEXT = b"anna\nemma\n" * 100


def archive(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.txt"))
    return buffer.getvalue()


TYPES = ("[Content_Types].xml", b"<Types/>")
CUE = b"\xef\xbb\xbf1\r\n00:00:01,000 --> 00:00:02,500\r\nHi.\r\n"


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        (gzip.compress(TEXT, mtime=0), "gzip", "gunzip"),
        (bz2.compress(TEXT), "compressed", "unpack"),
        (lzma.compress(TEXT), "compressed", "unpack"),
        (tar(), "archive", "unpack"),
        (archive(("a.txt", TEXT)), "zip", "unzip"),
        (archive(("mimetype", b"application/epub+zip")), "EPUB", "pandoc .*data.txt -t plain"),
        (archive(("mimetype", b"application/vnd.oasis.opendocument.text")), "OpenDoc", "pandoc"),
        (archive(TYPES, ("word/document.xml", TEXT)), "Word", "pandoc"),
        (archive(TYPES, ("xl/workbook.xml", TEXT)), "Excel", "CSV"),
        (archive(("Index/Document.iwa", TEXT)), "Apple", "plain text"),
        (b"a_book".ljust(60, b"\0") + b"BOOKMOBI", "Kindle", "ebook-convert .*data.txt"),
        (b"%PDF-1.7\n1 0 obj\n", "PDF", "pdftotext"),
        (b"{\\rtf1\\ansi hi}", "RTF", "pandoc"),
        (b"PAR1\x15\x04\x15", "table", "CSV or JSON Lines"),
        (b"SQLite format 3\0", "SQLite", "CSV"),
        (b"\x89PNG\r\n\x1a\n", "picture", "text file"),
    ],
)
def test_errors_for_binary_files_name_the_format_and_remedy(write, content, what, remedy) -> None:
    for how in (ReadOptions(), ReadOptions("stream"), ReadOptions(chat=True)):
        with pytest.raises(DataError, match=f"data.txt is an? .*{what}.*, not text; .*{remedy}"):
            load_documents(write(content), how)


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        (b"<!DOCTYPE html>\n<p>hi</p>\n", "HTML page", "pandoc"),
        (b'<?xml version="1.0"?>\n<a>hi</a>\n', "XML", "extract its text"),
        (CUE, "subtitle", "grep -vE .* .*data.txt > NEW.txt"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi.\n", "subtitle", "grep"),
        (b"LOCUS       AB1  9 bp  DNA\nORIGIN\n 1 acgt\n//\n", "sequence file", "FASTA"),
        (b"ID   A_HUMAN  Reviewed; 9 AA.\nSQ\n     MAV\n//\n", "sequence file", "FASTA"),
        (b"# STOCKHOLM 1.0\nO1/5-9  AC.GT\n//\n", "sequence file", "FASTA"),
        (b"@s1\nACGT\n+\nIIII\n", "sequence file", "FASTA"),
        (b"ATOM      1  CA  ALA\n", "sequence file", "FASTA"),
        (b"Return-Path: <a@a.org>\nSubject: hi\n", "mailbox", "messages"),
        (b"<notes>\n <note>hi</note>\n</notes>\n", "XML", "extract its text"),
        (b"0:00:01.000,0:00:02.000\nHi.\n", "subtitle", "grep"),
        (b"From anna@a.org Mon Jan  1 00:00:00 2024\nSubject: hi\n", "mailbox", "messages"),
        (b"From: a@a.org\nTo: b,\n c\nMessage-ID: <1@a.org>\n\nhi\n", "mailbox", "messages"),
        (b'<svg width="9" xmlns="s">\n<text>hi</text></svg>\n', "XML", "extract its text"),
        (b"[ar:Anna]\n[00:12.50]Hi.\n", "lyrics", "sed .* .*data.txt > NEW.txt"),
        (b"[Script Info]\nDialogue: 0,1,2,D,,0,0,0,,Hi.\n", "subtitle", "sed"),
        (b"BEGIN:VCARD\r\nFN:Anna\r\nEND:VCARD\r\n", "address book", "sed .*FN"),
        (b"--\n-- PostgreSQL database dump\n--\n", "SQL dump", "CSV"),
        (b"window.YTD.tweets.part0 = [ {\n", "Twitter", "before .* .json"),
        (b'export const a = [\n  "hi",\n];\n', "JavaScript", "before .* .json"),
        (b"# menu\na.b=Open\na.c = Close\na.d=Save\n", "messages or settings", "sed -nE"),
        (b'{\n "cells": [\n  {}]}\n', "notebook", "nbconvert"),
    ],
)
def test_other_text_formats_are_read_only_as_running_text(write, content, what, remedy) -> None:
    path = write(content)
    with pytest.raises(DataError, match=f"data.txt is an? .*{what}.*; .*{remedy}.*--text stream"):
        load_text(path)
    stream = load_documents(path, ReadOptions("stream"))
    assert stream == content.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\n")


@pytest.mark.parametrize(
    "text",
    [
        "ID3 tags are old",
        "PAR1",
        "BZh9",
        "Rar!",
        "<p>",
        "From a@b: hi",
        "[12:04] <b> hi",
        "-- dumps",
    ],
)
def test_text_that_begins_like_another_format_is_read_as_text(write, text) -> None:
    assert load_text(write(f"{text}\nanna\n")) == [text, "anna"]
