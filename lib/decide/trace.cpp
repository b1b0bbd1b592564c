// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/trace.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "lib/decide/decision.h"
#include "lib/decide/prefix.h"
#include "lib/reasons.h"

namespace synward {
namespace {

constexpr std::size_t most_events = 1'000'000;

template <typename T>
std::optional<T> number(std::string_view text) {
    int base = 10;
    if (text.starts_with("0x")) {
        base = 16;
        text.remove_prefix(2);
    }
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Cuts the first word off.
std::string_view word(std::string_view& rest) {
    const std::size_t begin = rest.find_first_not_of(" \t");
    if (begin == rest.npos) {
        rest = {};
        return {};
    }
    rest.remove_prefix(begin);
    const std::string_view found = rest.substr(0, rest.find_first_of(" \t"));
    rest.remove_prefix(found.size());
    return found;
}

std::optional<EventKind> parse_kind(std::string_view text) {
    for (unsigned i = 0; i <= static_cast<unsigned>(EventKind::other); i++)
        if (event_kind_name(static_cast<EventKind>(i)) == text) return static_cast<EventKind>(i);
    return std::nullopt;
}

// "192.0.2.1:80", "[2001:db8::1]:80"
std::optional<Address> parse_endpoint(std::string_view text, std::uint16_t& port) {
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    const auto digits = number<std::uint16_t>(text.substr(colon + 1));
    std::string_view host = text.substr(0, colon);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    const auto address = Address::parse(host);
    if (!digits || !address || brackets != (address->family == SW_IPV6)) return std::nullopt;
    port = *digits;
    return address;
}

std::optional<sw_shape> parse_shape(std::string_view text, sw_family family) {
    std::array<std::string_view, 4> part;
    for (std::size_t i = 0; i < part.size(); i++) {
        const std::size_t slash = text.find('/');
        if ((slash == text.npos) != (i + 1 == part.size())) return std::nullopt;
        part[i] = text.substr(0, slash);
        text.remove_prefix(slash == text.npos ? text.size() : slash + 1);
    }
    const auto layout = number<std::uint64_t>(part[0]);
    const auto header = number<std::uint8_t>(part[1]);
    const auto hops = number<std::uint8_t>(part[2]);
    const auto wscale =
        part[3] == "-" ? std::optional<std::uint8_t>(SW_SHAPE_NO_WSCALE) : number<std::uint8_t>(part[3]);
    if (!layout || !header || !hops || !wscale) return std::nullopt;
    sw_shape shape{};
    shape.layout = *layout;
    shape.header = *header;
    shape.hops = *hops;
    shape.wscale = *wscale;
    shape.family = static_cast<std::uint8_t>(family);
    return shape;
}

std::string endpoint(const RawAddress& raw, sw_family family, std::uint16_t port) {
    const std::string address = to_address(raw, family).to_string();
    return family == SW_IPV6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

bool is_zero(const sw_shape& s) {
    return !s.layout && !s.header && !s.hops && !s.wscale && !s.family;
}

template <typename T>
bool set(T& field, std::string_view text) {
    const auto value = number<T>(text);
    if (value) field = *value;
    return value.has_value();
}

// What is wrong; empty when nothing is.
std::string parse_key(std::string_view key, std::string_view value, FlowEvent& event) {
    bool good = true;
    if (key == "reason") {
        const auto reason = find_reason(value);
        if (!reason) return fmt::format("no reason is called '{}'; `synward reasons` lists them", value);
        event.reason = *reason;
    } else if (key == "shape") {
        const auto shape = parse_shape(value, event.family);
        if (!shape) return fmt::format("'{}' is no shape; it is LAYOUT/HEADER/HOPS/WSCALE", value);
        event.shape = *shape;
    } else if (key == "flags") {
        good = set(event.tcp_flags, value);
    } else if (key == "ttl") {
        good = set(event.ttl, value);
    } else if (key == "window") {
        good = set(event.window, value);
    } else if (key == "length") {
        good = set(event.length, value);
    } else if (key == "protocol") {
        good = set(event.protocol, value);
    } else if (key == "interface") {
        good = set(event.ifindex, value);
    } else if (key == "mark") {
        good = set(event.mark, value);
    } else {
        return fmt::format("unknown key '{}'", key);
    }
    return good ? std::string() : fmt::format("'{}' is no number that {} can have", value, key);
}

std::string parse_line(std::string_view line, FlowEvent& event) {
    const std::string_view time = word(line);
    const auto microseconds = number<std::uint64_t>(time);
    if (!microseconds || *microseconds > UINT64_MAX / 1000)
        return fmt::format("'{}' is no time in microseconds", time);
    event.time = *microseconds * 1000;
    const std::string_view kind_word = word(line);
    const auto kind = parse_kind(kind_word);
    if (!kind) return fmt::format("no kind of event is called '{}'", kind_word);
    event.kind = *kind;
    const std::string_view from = word(line);
    const std::string_view to = word(line);
    const auto source = parse_endpoint(from, event.source_port);
    if (!source) return fmt::format("'{}' is no ADDRESS:PORT", from);
    const auto destination = parse_endpoint(to, event.destination_port);
    if (!destination) return fmt::format("'{}' is no ADDRESS:PORT", to);
    if (source->family != destination->family) return "source and destination are of different families";
    event.family = source->family;
    event.source = raw_address(*source);
    event.destination = raw_address(*destination);
    for (std::string_view pair = word(line); !pair.empty(); pair = word(line)) {
        const std::size_t equals = pair.find('=');
        if (equals == pair.npos) return fmt::format("'{}' is no KEY=VALUE", pair);
        if (std::string wrong = parse_key(pair.substr(0, equals), pair.substr(equals + 1), event);
            !wrong.empty())
            return wrong;
    }
    return {};
}

}  // namespace

std::string trace_line(const FlowEvent& e) {
    std::string line = fmt::format("{} {} {} {}", e.time / 1000, event_kind_name(e.kind),
                                   endpoint(e.source, e.family, e.source_port),
                                   endpoint(e.destination, e.family, e.destination_port));
    if (e.reason && e.reason < SW_REASON_COUNT) line += fmt::format(" reason={}", reason_name(e.reason));
    if (e.tcp_flags) line += fmt::format(" flags={:#04x}", e.tcp_flags);
    if (e.ttl) line += fmt::format(" ttl={}", e.ttl);
    if (e.window) line += fmt::format(" window={}", e.window);
    if (e.length) line += fmt::format(" length={}", e.length);
    if (e.protocol) line += fmt::format(" protocol={}", e.protocol);
    if (e.ifindex) line += fmt::format(" interface={}", e.ifindex);
    if (e.mark) line += fmt::format(" mark={:#x}", e.mark);
    if (!is_zero(e.shape)) {
        line += fmt::format(" shape={:#x}/{}/{}/", e.shape.layout, e.shape.header, e.shape.hops);
        line += e.shape.wscale == SW_SHAPE_NO_WSCALE ? "-" : std::to_string(e.shape.wscale);
    }
    return line;
}

Result<std::vector<FlowEvent>> parse_trace(std::string_view text, std::string_view name) {
    std::vector<FlowEvent> events;
    std::size_t number_of_line = 0;
    auto wrong = [&](const std::string& what) {
        return fail(ErrorCode::config, fmt::format("{}:{}: {}", name, number_of_line, what));
    };
    bool header = false;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
        number_of_line++;
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!header) {
            if (line != trace_header)
                return wrong(fmt::format("a trace begins with the line '{}'", trace_header));
            header = true;
            continue;
        }
        if (line.empty() || line.front() == '#') continue;
        if (events.size() == most_events) return wrong(fmt::format("more than {} events", most_events));
        FlowEvent event;
        if (const std::string what = parse_line(line, event); !what.empty()) return wrong(what);
        if (!events.empty() && event.time < events.back().time) return wrong("time goes backwards");
        event.id = events.size() + 1;
        events.push_back(event);
    }
    if (!header) return wrong(fmt::format("empty; a trace begins with the line '{}'", trace_header));
    return events;
}

}  // namespace synward
