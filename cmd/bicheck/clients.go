package main

import "path/filepath"

// python is the system's own: the modules for ODBC and LibreOffice come as packages of the system.
const python = "/usr/bin/python3"

// clients are all of them, and what each calls the types of Postgres.
var clients = []client{
	{
		name:    "psql",
		command: func(s *stage, m manual, questions string) []string { return []string{"psql", "-X", m.psql} },
		stdin:   psqlScript,
		types: map[string]string{"character varying": "character varying", "text": "text", "bigint": "bigint", "integer": "integer", "smallint": "smallint",
			"numeric": "numeric", "boolean": "boolean", "date": "date", "timestamp with time zone": "timestamp with time zone", "jsonb": "jsonb"},
	},
	{
		name: "JDBC",
		// Where a part of each UTC day is another day: the driver makes the machine's time zone that of the session.
		command: func(s *stage, m manual, questions string) []string {
			return []string{"java", "-Duser.timezone=America/New_York", "-cp", "/usr/share/java/postgresql.jar", "cmd/bicheck/Jdbc.java", m.jdbc, reader, questions}
		},
		types: map[string]string{"character varying": "VARCHAR", "text": "VARCHAR", "bigint": "BIGINT", "integer": "INTEGER", "smallint": "SMALLINT",
			"numeric": "NUMERIC", "boolean": "BIT", "date": "DATE", "timestamp with time zone": "TIMESTAMP", "jsonb": "OTHER"},
	},
	{
		name: "ODBC",
		command: func(s *stage, m manual, questions string) []string {
			return []string{python, "cmd/bicheck/odbc.py", m.odbc, questions}
		},
		types: map[string]string{"character varying": "WVARCHAR", "text": "WVARCHAR", "bigint": "BIGINT", "integer": "INTEGER", "smallint": "SMALLINT",
			"numeric": "NUMERIC", "boolean": "BIT", "date": "TYPE_DATE", "timestamp with time zone": "TYPE_TIMESTAMP", "jsonb": "WVARCHAR"},
		noViewComments: true, noColumnComments: true, // the driver asks for none
	},
	{
		name: "LibreOffice",
		command: func(s *stage, m manual, questions string) []string {
			url := "sdbc:postgresql:" + m.office // as the wizard of Base does with what it is given
			return []string{python, "cmd/bicheck/office.py", url, reader, questions, filepath.Join(s.dir, "LibreOffice"), pivoted}
		},
		types: map[string]string{"character varying": "VARCHAR", "text": "LONGVARCHAR", "bigint": "BIGINT", "integer": "INTEGER", "smallint": "SMALLINT",
			"numeric": "NUMERIC", "boolean": "BOOLEAN", "date": "DATE", "timestamp with time zone": "LONGVARCHAR", "jsonb": "LONGVARCHAR"},
		noViewComments: true, // the driver shows any column's
		calc:           true,
	},
}
