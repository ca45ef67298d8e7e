"""Reads the warehouse by ODBC and prints what it saw as CSV, see cmd/bicheck/client.go.

Arguments: the connection string, the file of questions.
"""

import csv
import datetime
import decimal
import sys

import pyodbc

out = csv.writer(open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False), lineterminator="\n")


def show(*record):
    out.writerow(["\\N" if field is None else field for field in record])


def text(value):
    """The value as its type in Python, written as Postgres writes it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if value in (datetime.datetime.min, datetime.datetime(9999, 12, 31, 23, 59, 59)):  # how the driver tells infinity
        return "-infinity" if value == datetime.datetime.min else "infinity"
    if isinstance(value, datetime.datetime):  # without a zone: the session's, which is UTC
        return (value.isoformat(" ").rstrip("0") if value.microsecond else value.isoformat(" ")) + "+00"
    return str(value)


# What the type codes of ODBC are called.
TYPES = {getattr(pyodbc, name): name.removeprefix("SQL_") for name in dir(pyodbc) if name.startswith("SQL_") and name in (
    "SQL_CHAR", "SQL_VARCHAR", "SQL_LONGVARCHAR", "SQL_WCHAR", "SQL_WVARCHAR", "SQL_WLONGVARCHAR", "SQL_DECIMAL", "SQL_NUMERIC",
    "SQL_SMALLINT", "SQL_INTEGER", "SQL_BIGINT", "SQL_REAL", "SQL_FLOAT", "SQL_DOUBLE", "SQL_BIT", "SQL_TYPE_DATE", "SQL_TYPE_TIMESTAMP")}


def describe(db):
    for view in db.cursor().tables(schema="usage", tableType="VIEW").fetchall():
        show("view", view.table_name, view.remarks)
    for column in db.cursor().columns(schema="usage").fetchall():
        kind = TYPES.get(column.data_type, column.data_type)
        show("column", column.table_name, column.column_name, kind, column.column_size, column.remarks)


def answer(db, name, sql, *days):
    cursor = db.cursor()
    cursor.execute(sql, [datetime.date.fromisoformat(day) for day in days])
    while rows := cursor.fetchmany(100):
        for row in rows:
            show("answer", name, *map(text, row))


def refused(db, name, sql):
    try:
        db.cursor().execute(sql)
    except pyodbc.Error as error:
        show("refused", name, error.args[0], error.args[1])
    db.rollback()


def main(connection, questions):
    db = pyodbc.connect(connection)
    show("driver", f"{db.getinfo(pyodbc.SQL_DRIVER_NAME)} {db.getinfo(pyodbc.SQL_DRIVER_VER)}")
    describe(db)
    with open(questions, encoding="utf-8") as file:
        for line in file:
            kind, *question = line.rstrip("\n").split("\t")
            try:
                {"ask": answer, "refused": refused}[kind](db, *question)
            except (pyodbc.Error, ArithmeticError, ValueError) as error:  # of the driver, or of what it made of an answer
                show("failed", question[0], repr(error))
    db.close()


main(*sys.argv[1:])
