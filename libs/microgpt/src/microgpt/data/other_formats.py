"""Recognise files that are not plain text by their first bytes, and refuse them with a remedy."""

import re
from pathlib import Path

from microgpt.errors import DataError

PANDOC = "convert it, for example with: pandoc {path} -t plain -o NEW.txt"
UNPACK, TEXT_ONLY = "unpack it first", "only text can be learned; use a text file"
TABLE = "save it as CSV or text"
ZIP = r"PK\x03\x04.{0,60000}?"  # skips to a file name in the archive
# First lines of GenBank, EMBL, PDB and FASTQ files, and of alignments.
ALIGNMENTS = r"# STOCKHOLM|CLUSTAL|#NEXUS"
READS = r"LOCUS {3,}\S|ID {3}\S.*(?:BP|AA)\.|HEADER {4}\S|ATOM {2,}\d|@\S.*\n[A-Za-z*.-]+\n\+"
FIELDS = "Return-Path|Delivered-To|Received|MIME-Version|Message-ID"
MAIL = rf"From \S+@\S+ .*\d{{4}}\r?\n|(?:[\w-]+: .*\n|[ \t].*\n)*?(?:{FIELDS}): \S"
XML = r"\?xml|!DOCTYPE|[\w-]+ [^>]*xmlns|[\w-]+>\n\s*<[\w-]+[ />]"
SUBTITLES = r"\s*(?:WEBVTT|\d:\d\d:\d\d\.\d+,\d:|\d+\s+\d\d:\d\d:\d\d[,.]\d+ --> )"
UNCUE = r"remove numbers and times: grep -vE '^[0-9:.,]*.?$|-->' {path} > NEW.txt"
CUES = r"\[\d+:\d\d\.\d+\]|\[(?:ar|al|ti|length|offset):|\[Script Info\]"  # in LRC and ASS files
UNTIME = r"remove times: sed -E 's/^(\[[^]]*\]|Dialogue:([^,]*,){{9}})//' {path} > NEW.txt"
SCRIPT = r"window\.YTD\.|(?:export|const|let|var) [^\n]*\[\n"
UNNAME = "keep the values: sed -nE 's/^[^#!=]+= *//p' {path} > NEW.txt"
TITLES = r"extract the texts: sed -nE 's/^(SUMMARY|FN)[^:]*://p' {path} > NEW.txt"
# Each row has a pattern of the first bytes, a format and a remedy. The first match is used.
BINARY = (
    (r"\x1f\x8b", "a gzip file", f"{UNPACK} (gunzip)"),
    (r"BZh[1-9]1AY|\xfd7zXZ\0|\x28\xb5\x2f\xfd", "a compressed file", UNPACK),  # bzip2, xz, zstd
    (r"7z\xbc\xaf\x27\x1c|Rar!\x1a|.{257}ustar", "an archive", UNPACK),  # 7z, rar, tar
    (r"PK\x03\x04.{26}mimetypeapplication/epub", "an EPUB book", PANDOC),
    (r"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis", "an OpenDocument file", PANDOC),
    (rf"{ZIP}word/", "a Word document", PANDOC),
    (rf"{ZIP}xl/", "an Excel workbook", TABLE),
    (rf"{ZIP}\[Content_Types\]", "an Office document", f"{TABLE} if it is a workbook"),
    (rf"{ZIP}Index/\w+\.iwa", "an Apple document", "export it as plain text"),
    (r"PK\x03\x04", "a zip archive", f"{UNPACK} (unzip)"),
    (r"\xd0\xcf\x11\xe0", "an old Office document", TABLE),
    (r".{60}BOOKMOBI", "a Kindle book", "convert it with: ebook-convert {path} NEW.txt"),
    (r"%PDF-", "a PDF", "extract its text, for example with: pdftotext {path} NEW.txt"),
    (r"\{\\rtf", "an RTF document", PANDOC),
    (r"PAR1\x15|ARROW1\0|\x89HDF", "a table in a binary format", "save it as CSV or JSON Lines"),
    (r"SQLite format 3", "an SQLite database", "export a table as CSV"),
    (r"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", "a picture", TEXT_ONLY),
    (r"ID3[\x02-\x04]|OggS\0|fLaC\0|RIFF....WAVE|\0{3}.ftyp", "a recording", TEXT_ONLY),
)
MARKUP = (
    (r"\s*(?:<!DOCTYPE html|<html|<!--|<head)", "an HTML page", PANDOC),
    (rf"\s*<(?:{XML})", "an XML file", "extract its text first"),
    (SUBTITLES, "a subtitle file", UNCUE),
    (MAIL, "a mailbox", "write the messages into text files"),
    (rf"{READS}|{ALIGNMENTS}", "a sequence file", "convert it to FASTA (seqret)"),
    (CUES, "a lyrics or subtitle file", UNTIME),
    (SCRIPT, "a JavaScript file, as of Twitter", "delete all text before [ and rename it to .json"),
    (r"(?:[#!].*\n)*(?:[\w-]+\.[\w.-]+ ?=.*\n){2}", "a file of messages or settings", UNNAME),
    (r"BEGIN:V(?:CALENDAR|CARD)\b", "a calendar or address book", TITLES),
    (r"(?:--.*\n)*--.* dump\b|PRAGMA foreign_keys", "an SQL dump", "export a table as CSV"),
    (r'\{\s*"cells":\s*\[', "a notebook", "convert it: jupyter nbconvert --to markdown {path}"),
)


def refuse_binary(head: bytes, path: Path) -> None:
    """Raise DataError, with a remedy, if a file has a known binary format."""
    for pattern, what, remedy in BINARY:
        if re.match(pattern.encode("latin-1"), head, re.DOTALL):
            raise DataError(f"{path} is {what}, not text; {remedy.format(path=path)}")


def refuse_markup(head: str, path: Path) -> None:
    """Raise DataError if a text has known mark-up; suggest a conversion or `--text stream`."""
    for pattern, what, remedy in MARKUP:
        if re.match(pattern, head, re.IGNORECASE):
            remedy = f"{remedy.format(path=path)}, or read it as it is with --text stream"
            raise DataError(f"{path} is {what}; {remedy}")
