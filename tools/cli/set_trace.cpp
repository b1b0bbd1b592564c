// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/set_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/sets/contents.h"
#include "lib/sets/entry_words.h"
#include "tools/cli/output.h"

namespace synward::cli {
namespace {

using nlohmann::json;

struct Asked {
    std::string set;
    std::string list;  // that it is a member of
    bool bound;
};

// Bound sets and the members of bound lists in the order of their look-up, then all others.
Result<std::vector<Asked>> sets_in_order(SetReader& reader, const std::vector<std::string>& bound) {
    const auto there = reader.headers();
    if (!there) return tl::unexpected(there.error());
    const auto find = [&](const std::string& name) {
        return std::find_if(there->begin(), there->end(), [&](const SetHeader& h) { return h.name == name; });
    };
    std::vector<Asked> order;
    for (const std::string& name : bound) {
        const auto header = find(name);
        if (header == there->end()) continue;
        if (header->kind != SetKind::list) {
            if (unfit(*header).empty()) order.push_back({name, "", true});
            continue;
        }
        std::vector<std::string> members;
        const auto read =
            reader.read(name, [&](const SetEntry& entry) { members.emplace_back(entry.member); });
        if (!read) return tl::unexpected(read.error());
        for (const std::string& member : members)
            if (const auto one = find(member); one != there->end() && unfit(*one).empty())
                order.push_back({member, name, true});
    }
    std::vector<Asked> others;
    for (const SetHeader& header : *there)
        if (header.kind != SetKind::list && header.kind != SetKind::other &&
            std::none_of(order.begin(), order.end(), [&](const Asked& a) { return a.set == header.name; }))
            others.push_back({header.name, "", false});
    std::sort(others.begin(), others.end(), [](const Asked& a, const Asked& b) { return a.set < b.set; });
    order.insert(order.end(), others.begin(), others.end());
    return order;
}

}  // namespace

EntryFate entry_fate(const SetEntry& entry, const Fates& fates) {
    if (entry.nomatch) return {"", "exception"};
    if ((entry.mask & SW_MARK_CLASS_MASK) == 0) return {"", "nothing"};
    const auto mark = static_cast<std::uint8_t>(entry.mark & entry.mask);
    const Fate* fate = fates.find(mark);
    return {fate_word(mark, fates), std::string(fate ? fate_verdict_name(fate->verdict) : "nothing")};
}

json entry_json(const SetHeader& set, const SetEntry& entry, const Fates& fates) {
    const auto [name, acts] = entry_fate(entry, fates);
    json one{{"entry", entry_word(set.kind, entry)},
             {"timeout", nullptr},
             {"packets", nullptr},
             {"bytes", nullptr}};
    if (set.kind != SetKind::list || set.skbinfo) {
        one["fate"] = name.empty() ? json() : json(name);
        one["acts"] = acts;
    }
    if (entry.timeout) one["timeout"] = entry.timeout;
    if (set.counters) {
        one["packets"] = entry.packets;
        one["bytes"] = entry.bytes;
    }
    // A comment may be of any bytes.
    std::string comment(entry.text);
    for (char& c : comment)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
    one["comment"] = comment.empty() ? json() : json(std::move(comment));
    return one;
}

Result<json> trace_sets(SetReader& reader, const ClassifyConfig& classify, const Address& address) {
    const auto order = sets_in_order(reader, classify.sets);
    if (!order) return tl::unexpected(order.error());
    json trace = json::array();
    for (const Asked& asked : *order) {
        const auto header = reader.header(asked.set);
        if (!header) continue;  // it went meanwhile
        struct Found {
            unsigned length;
            json entry;
        };
        std::vector<Found> found;
        const auto read = reader.read(asked.set, [&](const SetEntry& entry) {
            if (!entry.prefix.contains(address)) return;
            json one = entry_json(*header, entry, classify.fates);
            one["set"] = asked.set;
            one["list"] = asked.list.empty() ? json() : json(asked.list);
            one["bound"] = asked.bound;
            one["by"] = header->kind == SetKind::ip || header->kind == SetKind::net ? "source"
                        : header->kind == SetKind::net_iface                        ? "interface"
                        : header->kind == SetKind::ip_mark                          ? "packet mark"
                                                                                    : "port";
            found.push_back({entry.prefix.length, std::move(one)});
        });
        if (!read) {
            if (read.error().code == ErrorCode::missing) continue;
            return tl::unexpected(read.error());
        }
        std::stable_sort(found.begin(), found.end(),
                         [](const Found& a, const Found& b) { return a.length > b.length; });
        for (Found& one : found) trace.push_back(std::move(one.entry));
    }
    return trace;
}

std::string trace_text(const json& trace) {
    std::string text;
    for (const json& one : trace) {
        text +=
            fmt::format("set {}{}: ", one["set"].get<std::string>(),
                        one["list"].is_null() ? "" : fmt::format(" (of {})", one["list"].get<std::string>()));
        const std::string acts = one["acts"];
        text += one["entry"].get<std::string>();
        if (acts == "exception")
            text += " is an exception: this set says nothing";
        else if (one["fate"].is_null())
            text += " has no mark: it says nothing";
        else
            text += fmt::format(" has the fate {}: {}", one["fate"].get<std::string>(),
                                acts == "drop"       ? "dropped"
                                : acts == "accept"   ? "accepted"
                                : acts == "continue" ? "only marked"
                                                     : "nothing, since no fate has this mark");
        if (!one["timeout"].is_null())
            text += fmt::format(", for another {}", seconds_text(one["timeout"].get<std::uint64_t>()));
        if (!one["packets"].is_null() && one["packets"] != 0)
            text += fmt::format(", {} packets", one["packets"].get<std::uint64_t>());
        if (!one["comment"].is_null()) text += fmt::format(" ({})", one["comment"].get<std::string>());
        if (!one["bound"].get<bool>()) text += "; nothing acts upon this set: it is not in classify.sets";
        text += '\n';
    }
    return text;
}

}  // namespace synward::cli
