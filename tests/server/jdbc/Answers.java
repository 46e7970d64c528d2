import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.postgresql.PGConnection;

/** What a JDBC client is answered, one line each. The test compares Sixfold's lines with PostgreSQL's. */
public class Answers {
    /** Columns of metadata that are estimates. */
    private static final String ESTIMATES = "CARDINALITY PAGES";

    private static Connection connection;

    interface Part {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        connection = DriverManager.getConnection(arguments[0]);
        part("schema", Answers::schema);
        DatabaseMetaData about = connection.getMetaData();
        part("tables", () -> rows(about.getTables(null, "public", "j%", new String[] {"TABLE", "VIEW", "INDEX", "SEQUENCE"})));
        part("columns", () -> rows(about.getColumns(null, "public", "j%", null)));
        part("primary key", () -> rows(about.getPrimaryKeys(null, "public", "jparent")));
        part("imported keys", () -> rows(about.getImportedKeys(null, "public", "jchild")));
        part("exported keys", () -> rows(about.getExportedKeys(null, "public", "jparent")));
        part("cross reference", () -> rows(about.getCrossReference(null, null, "jparent", null, null, "jchild")));
        part("indexes", () -> rows(about.getIndexInfo(null, "public", "jchild", false, false)));
        part("unique indexes", () -> rows(about.getIndexInfo(null, "public", "jparent", true, false)));
        part("best row identifier", () -> rows(about.getBestRowIdentifier(null, "public", "jparent", 0, true)));
        part("schemas", () -> rows(about.getSchemas()));
        part("catalogs", () -> rows(about.getCatalogs()));
        part("function", () -> rows(about.getFunctionColumns(null, "pg_catalog", "md5", "%")));
        part("insert", Answers::insert);
        part("select", Answers::select);
        part("described", Answers::described);
        part("generated keys", Answers::generatedKeys);
        part("batch", Answers::batch);
        part("fetch size", Answers::fetchSize);
        part("savepoint", Answers::savepoint);
        part("read only", Answers::readOnly);
        part("updatable", Answers::updatable);
        part("copy", Answers::copy);
        part("notify", Answers::notified);
        part("time-out", Answers::timeout);
        part("changed table", Answers::changedTable);
        part("several statements", Answers::several);
        part("types", Answers::types);
        part("call", Answers::call);
        connection.close();
    }

    private static void part(String name, Part part) {
        try {
            part.run();
        } catch (SQLException error) {
            say(name + ": " + error.getSQLState() + " " + error.getMessage());
        } catch (Exception error) {
            say(name + ": " + error);
        }
    }

    private static void say(Object line) {
        System.out.println(line);
    }

    private static void rows(ResultSet found) throws SQLException {
        ResultSetMetaData columns = found.getMetaData();
        while (found.next()) {
            Map<String, String> row = new TreeMap<>();
            for (int i = 1; i <= columns.getColumnCount(); i++) {
                String name = columns.getColumnName(i).toUpperCase();
                if (!ESTIMATES.contains(name)) {
                    row.put(name, found.getString(i));
                }
            }
            say(row);
        }
    }

    private static void schema() throws SQLException {
        connection.createStatement().execute(
            "create table jparent(a int, b varchar(20) not null default 'x', c numeric(10,2), d timestamptz, e int[], f uuid, g jsonb,"
            + " h bytea, i boolean, primary key(a, b));"
            + "comment on table jparent is 'parent'; comment on column jparent.c is 'money';"
            + "create table jchild(id serial primary key, pa int, pb varchar(20), u text unique,"
            + " foreign key(pa, pb) references jparent(a, b) on delete cascade on update set null deferrable initially deferred);"
            + "create index jchild_index on jchild(pa desc, u); create view jview as select a, b from jparent");
    }

    /** Eight times: from the fifth on the driver prepares by name, and asks for binary. */
    private static void insert() throws SQLException {
        PreparedStatement statement = connection.prepareStatement("insert into jparent values (?,?,?,?,?,?,?::jsonb,?,?)");
        for (int i = 0; i < 8; i++) {
            statement.setInt(1, i);
            statement.setString(2, "b" + i);
            statement.setBigDecimal(3, new BigDecimal("1.50"));
            statement.setObject(4, OffsetDateTime.parse("2024-01-01T10:00:00Z"));
            statement.setArray(5, connection.createArrayOf("int4", new Object[] {1, null, 3}));
            statement.setObject(6, UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
            statement.setString(7, "{\"k\":1}");
            statement.setBytes(8, new byte[] {0, 1, 2});
            statement.setBoolean(9, true);
            say(statement.executeUpdate());
        }
    }

    private static void select() throws SQLException {
        PreparedStatement statement = connection.prepareStatement("select * from jparent where a = ? and e = ? and h = ?");
        for (int i = 0; i < 7; i++) {
            statement.setInt(1, i);
            statement.setArray(2, connection.createArrayOf("int4", new Object[] {1, null, 3}));
            statement.setBytes(3, new byte[] {0, 1, 2});
            ResultSet row = statement.executeQuery();
            row.next();
            say(row.getObject(3) + " " + row.getObject(4, OffsetDateTime.class) + " " + Arrays.toString((Object[]) row.getArray(5).getArray())
                + " " + row.getObject(6) + " " + row.getObject(7) + " " + Arrays.toString(row.getBytes(8)) + " " + row.getBoolean(9));
        }
    }

    private static void described() throws SQLException {
        PreparedStatement statement = connection.prepareStatement("select a, b as bb, c * 2 from jparent where b = ?");
        ResultSetMetaData columns = statement.getMetaData();
        for (int i = 1; i <= 3; i++) {
            say(columns.getColumnName(i) + " " + columns.getColumnTypeName(i) + " " + columns.getPrecision(i) + " " + columns.getTableName(i)
                + " " + columns.isNullable(i) + " " + columns.isAutoIncrement(i));
        }
        say(statement.getParameterMetaData().getParameterTypeName(1));
    }

    private static void generatedKeys() throws SQLException {
        PreparedStatement statement = connection.prepareStatement("insert into jchild(u) values (?)", Statement.RETURN_GENERATED_KEYS);
        statement.setString(1, "k");
        statement.executeUpdate();
        rows(statement.getGeneratedKeys());
    }

    private static void batch() throws SQLException {
        PreparedStatement statement = connection.prepareStatement("insert into jchild(u) values (?)");
        for (int i = 0; i < 1000; i++) {
            statement.setString(1, "b" + i);
            statement.addBatch();
        }
        say(Arrays.stream(statement.executeBatch()).sum());
        statement.setString(1, "b1");
        statement.addBatch();
        try {
            statement.executeBatch();
        } catch (BatchUpdateException error) {
            say(error.getSQLState() + " " + Arrays.toString(error.getUpdateCounts()));
        }
    }

    private static void fetchSize() throws SQLException {
        connection.setAutoCommit(false);
        Statement statement = connection.createStatement();
        statement.setFetchSize(50);
        ResultSet row = statement.executeQuery("select * from jchild");
        int count = 0;
        while (row.next()) {
            count++;
        }
        say(count);
        connection.commit();
    }

    private static void savepoint() throws SQLException {
        Savepoint before = connection.setSavepoint("before");
        try {
            connection.createStatement().execute("select 1/0");
        } catch (SQLException error) {
            say(error.getSQLState());
        }
        connection.rollback(before);
        say(connection.createStatement().execute("select 1"));
        connection.commit();
        connection.setAutoCommit(true);
    }

    private static void readOnly() throws SQLException {
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        say(connection.getTransactionIsolation());
        try {
            connection.createStatement().execute("insert into jchild(u) values ('refused')");
        } catch (SQLException error) {
            say(error.getSQLState());
        }
        connection.rollback();
        connection.setAutoCommit(true);
        connection.setReadOnly(false);
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
    }

    private static void updatable() throws SQLException {
        Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
        ResultSet row = statement.executeQuery("select id, u from jchild where id < 5 order by id");
        row.absolute(2);
        row.updateString("u", "updated");
        row.updateRow();
        row.moveToInsertRow();
        row.updateString("u", "inserted");
        row.insertRow();
        row.first();
        row.deleteRow();
        rows(connection.createStatement().executeQuery("select u from jchild where id < 4 or u = 'inserted' order by u"));
    }

    private static void copy() throws Exception {
        var copier = ((PGConnection) connection).getCopyAPI();
        say(copier.copyIn("copy jchild(u) from stdin with csv", new StringReader("x1\nx2\n")));
        StringWriter out = new StringWriter();
        say(copier.copyOut("copy (select u from jchild where u like 'x%' order by u) to stdout", out) + " " + out);
    }

    private static void notified() throws SQLException {
        connection.createStatement().execute("listen channel; notify channel, 'hey'");
        say(((PGConnection) connection).getNotifications(2000)[0].getParameter());
    }

    private static void timeout() throws SQLException {
        Statement statement = connection.createStatement();
        statement.setQueryTimeout(1);
        try {
            statement.execute("select pg_sleep(20)");
        } catch (SQLException error) {
            say(error.getSQLState());
        }
    }

    /** The driver prepares again when the server says that the columns are others now. */
    private static void changedTable() throws SQLException {
        PreparedStatement statement = connection.prepareStatement("select * from jchild where u = ?");
        for (int i = 0; i < 9; i++) {
            if (i == 7) {
                connection.createStatement().execute("alter table jchild add extra int default 7");
            }
            statement.setString(1, "x1");
            ResultSet row = statement.executeQuery();
            row.next();
            say(row.getMetaData().getColumnCount() + " " + row.getString("u"));
        }
    }

    private static void several() throws SQLException {
        Statement statement = connection.createStatement();
        say(statement.execute("select 1; update jchild set u = u where u = 'x1'; drop table if exists jnone") + " "
            + statement.getMoreResults() + " " + statement.getUpdateCount() + " " + statement.getMoreResults());
        say(statement.getWarnings());
    }

    private static void types() throws SQLException {
        ResultSet row = connection.createStatement().executeQuery(
            "select 1::int2, 2::int8, 1.5::float4, 2.5::float8, 'x'::char(3), date '2024-01-01', time '10:00', interval '1 day', 'a'::name,"
            + " '{a,b}'::text[], '{\"a\":1}'::json, null::int, 'NaN'::float8, 5::oid, row(1, 2)");
        row.next();
        for (int i = 1; i <= row.getMetaData().getColumnCount(); i++) {
            say(row.getMetaData().getColumnTypeName(i) + " " + row.getObject(i));
        }
    }

    private static void call() throws SQLException {
        CallableStatement statement = connection.prepareCall("{? = call upper(?)}");
        statement.registerOutParameter(1, Types.VARCHAR);
        statement.setString(2, "abc");
        statement.execute();
        say(statement.getString(1));
    }
}
