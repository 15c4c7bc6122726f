// Asks this server: queries and mutations over HTTP, subscriptions over a WebSocket.
const socket = location.origin.replace(/^http/, "ws") + "/graphql/ws";
const fetcher = GraphiQL.createFetcher({ url: "/graphql", subscriptionUrl: socket });
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
