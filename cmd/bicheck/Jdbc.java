// Reads the warehouse by JDBC and prints what it saw as CSV, see cmd/bicheck/client.go.
// Arguments: the connection's URL, the user, the file of questions. The password is in PGPASSWORD.

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.JDBCType;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;

class Jdbc {
    static final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        try (Connection db = DriverManager.getConnection(args[0], args[1], System.getenv("PGPASSWORD"))) {
            DatabaseMetaData about = db.getMetaData();
            print("driver", about.getDriverName() + " " + about.getDriverVersion());
            describe(about);
            db.setAutoCommit(false); // otherwise the fetch size means nothing
            for (String line : Files.readAllLines(Path.of(args[2]))) {
                String[] question = line.split("\t", -1);
                if (question[0].equals("refused")) {
                    refused(db, question[1], question[2]);
                } else {
                    answer(db, question);
                }
            }
        }
        out.flush();
    }

    /** What a tool shows before it asks anything: the views, their columns, what they are. */
    static void describe(DatabaseMetaData about) throws SQLException {
        try (ResultSet views = about.getTables(null, "usage", "%", new String[] {"VIEW"})) {
            while (views.next()) {
                print("view", views.getString("TABLE_NAME"), views.getString("REMARKS"));
            }
        }
        try (ResultSet columns = about.getColumns(null, "usage", "%", "%")) {
            while (columns.next()) {
                print("column", columns.getString("TABLE_NAME"), columns.getString("COLUMN_NAME"),
                    JDBCType.valueOf(columns.getInt("DATA_TYPE")).getName(), columns.getString("COLUMN_SIZE"), columns.getString("REMARKS"));
            }
        }
    }

    /** A question is prepared, and its answer fetched a hundred rows at a time. Parameters are days. */
    static void answer(Connection db, String[] question) throws SQLException {
        String at = "the question";
        try (PreparedStatement ask = db.prepareStatement(question[2])) {
            ask.setFetchSize(100);
            for (int i = 3; i < question.length; i++) {
                ask.setObject(i - 2, LocalDate.parse(question[i]));
            }
            ResultSet rows = ask.executeQuery();
            int width = rows.getMetaData().getColumnCount();
            while (rows.next()) {
                String[] record = new String[2 + width];
                record[0] = "answer";
                record[1] = question[1];
                for (int i = 1; i <= width; i++) {
                    at = "column " + rows.getMetaData().getColumnName(i);
                    record[1 + i] = text(rows, i);
                }
                print(record);
            }
        } catch (SQLException e) {
            print("failed", question[1], at + ": " + e.getMessage());
        } finally {
            db.rollback();
        }
    }

    static void refused(Connection db, String name, String sql) throws SQLException {
        try (Statement ask = db.createStatement()) {
            ask.execute(sql);
        } catch (SQLException e) {
            print("refused", name, e.getSQLState(), e.getMessage());
        } finally {
            db.rollback();
        }
    }

    static final DateTimeFormatter stamp = new DateTimeFormatterBuilder().appendPattern("uuuu-MM-dd HH:mm:ss")
        .appendFraction(ChronoField.NANO_OF_SECOND, 0, 6, true).appendLiteral("+00").toFormatter();

    /** The value as the type that a Java program would ask for, written as Postgres writes it. */
    static String text(ResultSet rows, int i) throws SQLException {
        String type = rows.getMetaData().getColumnTypeName(i);
        if (rows.getObject(i) == null) {
            return null;
        }
        switch (type) {
            case "int8":
                return Long.toString(rows.getLong(i));
            case "int4":
            case "int2":
                return Integer.toString(rows.getInt(i));
            case "numeric":
                return rows.getBigDecimal(i).toPlainString();
            case "bool":
                return rows.getBoolean(i) ? "t" : "f";
            case "date":
                LocalDate day = rows.getObject(i, LocalDate.class);
                LocalDate old = rows.getDate(i).toLocalDate(); // what older tools ask for
                return day.equals(old) ? day.toString() : "LocalDate " + day + ", Date " + old;
            case "timestamptz":
                return moment(rows, i);
            default:
                return rows.getString(i);
        }
    }

    static String moment(ResultSet rows, int i) throws SQLException {
        OffsetDateTime at = rows.getObject(i, OffsetDateTime.class);
        if (at.equals(OffsetDateTime.MAX)) {
            return "infinity";
        }
        if (at.equals(OffsetDateTime.MIN)) {
            return "-infinity";
        }
        if (!rows.getTimestamp(i).toInstant().equals(at.toInstant())) {
            return "OffsetDateTime " + at + ", Timestamp " + rows.getTimestamp(i);
        }
        return stamp.format(at.withOffsetSameInstant(ZoneOffset.UTC));
    }

    static void print(String... record) {
        StringBuilder line = new StringBuilder();
        for (String field : record) {
            line.append(line.length() > 0 ? "," : "").append(field == null ? "\\N" : '"' + field.replace("\"", "\"\"") + '"');
        }
        out.print(line.append('\n'));
    }
}
