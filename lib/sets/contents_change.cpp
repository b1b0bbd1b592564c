// SPDX-License-Identifier: GPL-2.0-or-later
// Contents made from contents, without reading the set again.
#include <algorithm>
#include <functional>
#include <tuple>

#include "lib/sets/contents.h"

namespace synward {

// Fills `entries` with the old ones and the changes, and counts their marks and lengths. One pass:
// what lies between two changes is copied as it is.
template <typename Key>
void SetContents::take(const std::vector<Entry<Key>>& old, std::span<const SetChange> changes,
                       std::vector<Prefix>& changed, std::vector<Entry<Key>>& entries) {
    struct Made {
        Entry<Key> entry;
        bool removed;
        decltype(old.begin()) at{};  // what is there, or would be behind it
    };
    const auto before = [](const Entry<Key>& a, const Entry<Key>& b) { return a.place() < b.place(); };
    const bool by_port = header_.kind == SetKind::ip_port || header_.kind == SetKind::net_port;
    std::vector<Made> made;
    for (const auto& [entry, removed] : changes) {
        std::uint32_t extra = 0;
        if (by_port) extra = port_extra(entry.protocol, entry.port);
        if (header_.kind == SetKind::ip_mark) extra = entry.packet_mark;
        made.push_back({make_entry<Key>(entry, extra), removed});
    }
    std::ranges::stable_sort(made, before, &Made::entry);
    // Of several for one place, the last holds.
    const auto same = [](const Made& a, const Made& b) { return a.entry.place() == b.entry.place(); };
    made.erase(made.begin(), std::unique(made.rbegin(), made.rend(), same).base());
    std::erase_if(made, [&](Made& one) {
        one.at = std::ranges::lower_bound(old, one.entry, before);
        const bool there = one.at != old.end() && one.at->place() == one.entry.place();
        return one.removed ? !there : there && *one.at == one.entry;
    });
    if (made.empty()) return;
    entries.reserve(old.size() + made.size());
    auto from = old.begin();
    for (const auto& [entry, removed, at] : made) {
        changed.push_back({key_address(entry.key), entry.length});
        entries.insert(entries.end(), from, at);
        from = at;
        if (from != old.end() && from->place() == entry.place()) {
            if (!from->nomatch) marks_[from->mark]--;
            ++from;
        }
        if (removed) continue;
        entries.push_back(entry);
        if (!entry.nomatch) marks_[entry.mark]++;
        // A length that no entry has any more costs a look-up, until the set is read again.
        const auto length = std::ranges::lower_bound(lengths_, entry.length, std::greater<unsigned>());
        if (length == lengths_.end() || *length != entry.length) lengths_.insert(length, entry.length);
    }
    entries.insert(entries.end(), from, old.end());
}

std::shared_ptr<const SetContents> SetContents::with(std::span<const SetChange> changes,
                                                     std::vector<Prefix>& changed) const {
    auto copy = std::make_shared<SetContents>();
    copy->header_ = header_;
    copy->lengths_ = lengths_;
    copy->marks_ = marks_;
    const std::size_t known = changed.size();
    if (header_.family == SW_IPV6)
        copy->take(entries6_, changes, changed, copy->entries6_);
    else
        copy->take(entries4_, changes, changed, copy->entries4_);
    return changed.size() == known ? nullptr : copy;
}

// Those around it are fewer than there are lengths; those in it lie side by side.
template <typename Key>
std::vector<SetContents::Entry<Key>> SetContents::entries_around(const Prefix& prefix,
                                                                 std::size_t most) const {
    const std::vector<Entry<Key>>& all = entries<Key>();
    const Key key = address_key<Key>(prefix.address);
    std::vector<Entry<Key>> found;
    const auto from = [&](Key at, unsigned length) {
        return std::lower_bound(
            all.begin(), all.end(), std::tuple(at, length),
            [](const auto& e, const auto& place) { return std::tuple(e.key, unsigned{e.length}) < place; });
    };
    for (auto length = lengths_.rbegin(); length != lengths_.rend() && *length < prefix.length; ++length) {
        const Key wider = key_prefix(key, *length);
        for (auto at = from(wider, *length); at != all.end() && at->key == wider && at->length == *length;
             ++at)
            found.push_back(*at);
    }
    for (auto at = from(key, prefix.length);
         at != all.end() && key_prefix(at->key, prefix.length) == key && found.size() <= most; ++at)
        found.push_back(*at);
    return found;
}

std::shared_ptr<const SetContents> SetContents::around(const Prefix& prefix, std::size_t most) const {
    auto copy = std::make_shared<SetContents>();
    copy->header_ = header_;
    copy->interfaces_ = interfaces_;
    copy->lengths_ = lengths_;
    if (header_.family == prefix.address.family) {
        if (prefix.address.family == SW_IPV4)
            copy->entries4_ = entries_around<Key4>(prefix, most);
        else
            copy->entries6_ = entries_around<Key6>(prefix, most);
    }
    if (copy->size() > most) return nullptr;
    for (const auto& member : members_) {
        auto part = member->around(prefix, most);
        if (!part) return nullptr;
        copy->members_.push_back(std::move(part));
    }
    return copy;
}

}  // namespace synward
