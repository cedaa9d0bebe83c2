"""The report as an .xlsx file: one sheet, the tables below each other, numbers as numbers.

What citizens wrote stands in cells, so no text may become a formula: every text is stored as text, and one that begins
like a formula is marked as typed with a quote before it (OWASP, CSV injection).
"""

from __future__ import annotations

import io
import re
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import Cell as XlsxCell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter

from bot.figures.report import Cell, Report, Section, Share

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # no XML holds them
_BOLD, _TITLE = Font(bold=True), Font(bold=True, size=14)
_HEAD = PatternFill("solid", fgColor="DDE8F0")
_THIN = Side(style="thin", color="999999")
_FRAME = Border(left=_THIN, right=_THIN, top=_THIN, bottom=_THIN)
WIDTHS = (44, 34, 14, 14, 14, 14, 14, 14)


def workbook(report: Report) -> bytes:
    """The file's bytes."""
    book = Workbook()
    sheet: Any = book.active
    sheet.title = "Báo cáo"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    for number, width in enumerate(WIDTHS, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    row = 1
    for text, font in (
        (report.office, None), (report.commune, None), (report.title, _TITLE), (report.made, None)
    ):  # fmt: skip
        cell = _put(sheet, row, 1, text)
        if font:
            cell.font = font
        row += 1
    for section in report.sections:
        row = _section(sheet, section, row + 1)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _section(sheet: Any, section: Section, row: int) -> int:
    """Writes a table from a row on; the first row after it."""
    _put(sheet, row, 1, section.title).font = _BOLD
    row += 1
    for column, name in enumerate(section.columns, 1):
        cell = _put(sheet, row, column, name)
        cell.font, cell.fill, cell.border = _BOLD, _HEAD, _FRAME
        cell.alignment = Alignment(wrap_text=True, vertical="center")
    for number, values in enumerate(section.rows, 1):
        for column, value in enumerate(values, 1):
            cell = _put(sheet, row + number, column, value)
            cell.border = _FRAME
            if section.total and number == len(section.rows):
                cell.font = _BOLD
            if isinstance(value, str):
                cell.alignment = Alignment(wrap_text=True, vertical="top")
    row += len(section.rows) + 1
    for remark in section.remarks:
        _put(sheet, row, 1, remark)
        row += 1
    return row


def _put(sheet: Any, row: int, column: int, value: Cell) -> XlsxCell:
    """Writes one cell: a number, a share as percents, or text that stays text."""
    cell: XlsxCell = sheet.cell(row=row, column=column)
    if isinstance(value, Share):
        value = "–" if value.value is None else value.value
        cell.number_format = "0.0%"
    elif isinstance(value, float):
        cell.number_format = "0.0"
    elif isinstance(value, int):
        cell.number_format = "#,##0"
    elif value is None:
        value = "–"
    if isinstance(value, str):
        value = _CONTROL.sub("", value)
        cell.value = value
        cell.data_type = "s"  # openpyxl takes a leading "=" for a formula
        if value.startswith(_FORMULA):
            cell.quotePrefix = True
    else:
        cell.value = value
    return cell
