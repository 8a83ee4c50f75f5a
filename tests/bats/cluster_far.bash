# A network of its own for one node, on top of cluster.bash: one link to the broker (.1
# and .2 of $NET_PREFIX) and one to its clients (.5 and .6), so that the node still
# responds when the first is cut. Call make_network in setup_file, before
# cluster_setup_file; it needs root.

make_network() {
	local id=$((RANDOM % 200 + 20))
	NETWORK=keydir$$-$RANDOM
	ip netns add "$NETWORK" 2>/dev/null || {
		unset NETWORK
		return 1
	}
	export NETWORK NET_PREFIX=10.210.$id LINK=kd$$
	ip link add "${LINK}a" type veth peer name log netns "$NETWORK" &&
		ip link add "${LINK}b" type veth peer name clients netns "$NETWORK" &&
		ip address add "$NET_PREFIX.1/30" dev "${LINK}a" &&
		ip address add "$NET_PREFIX.5/30" dev "${LINK}b" &&
		ip -n "$NETWORK" address add "$NET_PREFIX.2/30" dev log &&
		ip -n "$NETWORK" address add "$NET_PREFIX.6/30" dev clients &&
		ip -n "$NETWORK" link set lo up &&
		ip -n "$NETWORK" link set log up &&
		ip -n "$NETWORK" link set clients up &&
		ip link set "${LINK}a" up &&
		ip link set "${LINK}b" up && return
	ip netns del "$NETWORK"
	unset NETWORK
	return 1
}

# The broker listens on an address of that network, too.
broker_properties() {
	[ -n "${NETWORK:-}" ] || return 0
	local own=PLAINTEXT://127.0.0.1:$BROKER_PORT far=FAR://$NET_PREFIX.1:9092
	BROKER_PROPERTIES="listeners=$own,$far,CONTROLLER://127.0.0.1:$((BROKER_PORT + 1))"
	BROKER_PROPERTIES+=" advertised.listeners=$own,$far"
	BROKER_PROPERTIES+=" listener.security.protocol.map=PLAINTEXT:PLAINTEXT,FAR:PLAINTEXT,CONTROLLER:PLAINTEXT"
	export BROKER_PROPERTIES
}

# Packets between that node and the broker are dropped without an error.
cut_link() { ip link set "${LINK}a" down; }
mend_link() { ip link set "${LINK}a" up; }
