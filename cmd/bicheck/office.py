"""Reads the warehouse by LibreOffice and prints what it saw as CSV, see cmd/bicheck/client.go.

Base connects and asks the questions; Calc imports a view, makes a pivot table of the same view, and saves both.
Arguments: the connection's URL, the user, the file of questions, a folder to write to, the view for Calc.
The password is in PGPASSWORD.
"""

import csv
import datetime
import decimal
import os
import subprocess
import sys
import time

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException
from com.sun.star.sdbc import DataType, SQLException
from com.sun.star.sheet.DataImportMode import TABLE
from com.sun.star.sheet.DataPilotFieldOrientation import COLUMN, DATA, ROW
from com.sun.star.sheet.GeneralFunction import SUM
from com.sun.star.util import Date

out = csv.writer(open(sys.stdout.fileno(), "w", encoding="utf-8", newline="", closefd=False), lineterminator="\n")


def show(*record):
    out.writerow(["\\N" if field is None else field for field in record])


def properties(**values):
    return tuple(PropertyValue(Name=name, Value=value) for name, value in values.items())


def start(folder):
    """Starts an office of our own, with a profile of its own, and returns it and its context once it answers."""
    pipe = f"bicheck-{os.getpid()}"
    office = subprocess.Popen(["soffice", "--headless", "--norestore", "--nodefault", "--nologo", f"-env:UserInstallation=file://{folder}/profile",
        f"--accept=pipe,name={pipe};urp;"], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    here = uno.getComponentContext()
    resolver = here.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", here)
    while office.poll() is None:
        try:
            return office, resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except NoConnectException:
            time.sleep(0.1)  # it is still starting
    sys.exit(f"soffice ended with exit code {office.returncode}")


def data_source(context, url, user, folder):
    """A database document like the one that the wizard of Base makes, registered under a name for Calc."""
    databases = context.ServiceManager.createInstanceWithContext("com.sun.star.sdb.DatabaseContext", context)
    source = databases.createInstance()
    source.URL, source.User, source.IsPasswordRequired = url, user, False
    source.DatabaseDocument.storeAsURL(f"file://{folder}/warehouse.odb", ())
    databases.registerObject("warehouse", source)
    return source


TYPES = {getattr(DataType, name): name for name in (
    "BIGINT", "INTEGER", "SMALLINT", "NUMERIC", "DECIMAL", "DOUBLE", "REAL", "CHAR", "VARCHAR", "LONGVARCHAR", "CLOB", "BIT", "BOOLEAN", "DATE", "TIMESTAMP",
    "OTHER", "ARRAY", "SQLNULL")}


def describe(connection):
    about = connection.getMetaData()
    show("driver", f"{about.getDriverName()} {about.getDriverVersion()}")
    views = about.getTables(None, "usage", "%", ("VIEW",))
    while views.next():
        show("view", views.getString(3), views.getString(5))
    columns = about.getColumns(None, "usage", "%", "%")
    while columns.next():
        kind = columns.getInt(5)
        show("column", columns.getString(3), columns.getString(4), TYPES.get(kind, kind), columns.getString(7), columns.getString(12))


def text(rows, i, kind):
    """The value as the type that the driver says it has, written as Postgres writes it."""
    if kind in (DataType.INTEGER, DataType.SMALLINT):
        value = rows.getInt(i)
        written = str(value)
    elif kind in (DataType.BIT, DataType.BOOLEAN):
        value = rows.getBoolean(i)
        written = "t" if value else "f"
    elif kind == DataType.DATE:
        day = rows.getDate(i)
        value, written = day.Year, f"{day.Year:04}-{day.Month:02}-{day.Day:02}"
    else:  # numbers too: getLong goes through a float, and what lies beyond 2^53 is off by some bytes
        value = written = rows.getString(i)
    return written if value or not rows.wasNull() else None  # each call is a message to another process


def answer(connection, name, sql, *days):
    ask = connection.prepareStatement(sql)
    for i, day in enumerate(map(datetime.date.fromisoformat, days), 1):
        ask.setDate(i, Date(Year=day.year, Month=day.month, Day=day.day))
    rows = ask.executeQuery()
    about = rows.getMetaData()
    kinds = [about.getColumnType(i) for i in range(1, about.getColumnCount() + 1)]
    while rows.next():
        show("answer", name, *(text(rows, i, kind) for i, kind in enumerate(kinds, 1)))
    ask.close()


def refused(connection, name, sql):
    try:
        connection.createStatement().execute(sql)
    except SQLException as error:
        show("refused", name, error.SQLState, error.Message)


def plain(cell):
    """What is in a cell: text, or a float, written without an exponent."""
    return format(decimal.Decimal(repr(cell)).normalize(), "f") if isinstance(cell, float) else cell


def calc(desktop, view, folder):
    """Imports a view, as the data source window does, and makes a pivot table of the same by country and month, as deploy/BI.md says."""
    document = desktop.loadComponentFromURL("private:factory/scalc", "_blank", 0, properties(Hidden=True))
    sheet = document.Sheets.getByIndex(0)
    source = properties(DatabaseName="warehouse", SourceType=TABLE, SourceObject=view)
    sheet.getCellRangeByName("A1").doImport(source)
    cursor = sheet.createCursor()
    cursor.gotoEndOfUsedArea(False)
    last = cursor.RangeAddress
    cells = sheet.getCellRangeByPosition(0, 0, last.EndColumn, last.EndRow)
    for row in cells.getDataArray():
        show("cell", *map(plain, row))

    document.Sheets.insertNewByName("pivot", 1)
    pivots = document.Sheets.getByName("pivot").DataPilotTables
    pivot = pivots.createDataPilotDescriptor()
    pivot.ImportDescriptor = source
    for name, orientation in (("iso_country", ROW), ("month", COLUMN), ("data_total", DATA)):
        field = pivot.DataPilotFields.getByName(name)
        field.Orientation = orientation
        if orientation == DATA:
            field.Function = SUM
    pivots.insertNewByName("usage", uno.createUnoStruct("com.sun.star.table.CellAddress", Sheet=1), pivot)
    document.storeAsURL(f"file://{folder}/usage.ods", ())
    document.close(True)

    # What is read back is what somebody sees who opens the document.
    document = desktop.loadComponentFromURL(f"file://{folder}/usage.ods", "_blank", 0, properties(Hidden=True))
    place = document.Sheets.getByName("pivot").DataPilotTables.getByName("usage").OutputRange
    for row in document.Sheets.getByName("pivot").getCellRangeByPosition(place.StartColumn, place.StartRow, place.EndColumn, place.EndRow).getDataArray():
        show("pivot", *map(plain, row))
    document.close(True)


def main(url, user, questions, folder, view):
    office, context = start(folder)
    desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
    try:
        connection = data_source(context, url, user, folder).getConnection(user, os.environ["PGPASSWORD"])
        describe(connection)
        with open(questions, encoding="utf-8") as file:
            for line in file:
                kind, *question = line.rstrip("\n").split("\t")
                try:
                    {"ask": answer, "refused": refused}[kind](connection, *question)
                except SQLException as error:
                    show("failed", question[0], error.Message)
        connection.close()
        calc(desktop, view, folder)
    finally:
        desktop.terminate()
        office.wait()


main(*sys.argv[1:])
