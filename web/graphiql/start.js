// Asks this server: queries and mutations over HTTP, subscriptions over a WebSocket. A key in the
// address's fragment (#key=ml_..), which no server is sent, is asked with and taken out of the address.
const key = new URLSearchParams(location.hash.slice(1)).get("key");
if (key) history.replaceState(null, "", location.pathname + location.search);
const headers = key ? { authorization: `Bearer ${key}` } : {};
const socket = location.origin.replace(/^http/, "ws") + "/graphql/ws";
const fetcher = GraphiQL.createFetcher({
  url: "/graphql",
  headers,
  subscriptionUrl: socket,
  wsConnectionParams: headers,
});
const example = `# What this lake holds.
{
  lake { metrics samples newest freshnessSeconds }
  ranking(first: 5) {
    nodes { display value metric { name latest { timestamp value } } }
  }
}
`;
ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, { fetcher, defaultQuery: example, shouldPersistHeaders: false }),
);
